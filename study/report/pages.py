"""From findings to results/REPORT.md, results/report.html and the figures. Imports neither torch nor mlflow."""

import base64
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jinja2

from alexnet.files import write_atomically
from alexnet.recipe import SOURCE_2012, differences, sizes_of
from alexnet.recipe.schema import Layer
from alexnet.recipe.sizes import Sizes
from study.judge.arms import ArmEvidence
from study.judge.evidence import Findings, find
from study.judge.family import Evidence
from study.plan.claim_files import all_claims
from study.questions.rules import Factorial
from study.questions.scales import SCALES
from study.record.figure_files import slug
from study.report import designs, phrases, sentences
from study.report.figures.architecture import draw_architecture
from study.report.figures.draw import draw
from study.report.figures.style import save, style
from study.report.figures.verdicts import verdict_forest
from study.report.overview import outcome_words
from study.report.paper_tables import paper_tables, percent_range
from study.report.spreads import Spread, spreads_of

ERRORS_SHOWN = ("test_error", "test_error_ten_views", "test_top5_error", "test_top5_error_ten_views")
TEMPLATES = Path(__file__).parent / "templates"


def write_report(folder: Path) -> list[Path]:
    """Draw and write everything that the tables of `folder` support. Returns the files written."""
    findings = find(folder)
    pictures = {group: draw(found, folder) for group, found in grouped(findings).items()}
    overview = _overview(findings, folder)
    context = describe(findings, pictures, folder)
    markdown = _render("report.md.j2", context, escape=False)
    page = _render("report.html.j2", context, escape=True)
    write_atomically(folder / "REPORT.md", markdown.encode())
    write_atomically(folder / "report.html", page.encode())
    return [folder / "REPORT.md", folder / "report.html", *overview, *(p for paths in pictures.values() for p in paths)]


OVERVIEW_COLOURS = 64
"""Kept in the PNG of all claims, which the README shows."""


def _overview(findings: Findings, folder: Path) -> list[Path]:
    """All claims in one picture."""
    with style():
        return [
            save(verdict_forest(findings.found), folder / "figures" / f"verdicts.{kind}", OVERVIEW_COLOURS)
            for kind in ("svg", "png")
        ]


def grouped(findings: Findings) -> dict[tuple[str, str, str], list[Evidence]]:
    """What shares a figure: the bases of one claim at one scale and one state of the data."""
    groups = defaultdict(list)
    for one in findings.found:
        groups[one.claim_name, one.scale, one.fingerprint].append(one)
    return dict(groups)


def describe(findings: Findings, pictures: Mapping[tuple, Sequence[Path]], folder: Path) -> dict:
    """Everything the templates say, as plain texts and numbers."""
    sections = [
        {
            "title": found[0].claim.title,
            "name": group[0],
            "anchor": "-".join((*group[:2], slug(group[2]))),
            "scale": group[1],
            "about": SCALES[group[1]].about,
            "role": found[0].role,
            "data": f"{found[0].data}, fingerprint {group[2]}",
            "reported": found[0].claim.reported,
            "reported_words": phrases.reported_words(found[0].claim),
            "measured": phrases.measured(found[0].claim.measure),
            "notes": found[0].claim.reported.notes or "-",
            "command": _command(found[0]),
            "tables": [table for one in found for table in paper_tables(one.claim.measure, one)],
            "bases": [_base(one) for one in found],
            "pictures": [_picture(path, found[0]) for path in pictures[group]],
        }
        for group, found in grouped(findings).items()
    ]
    runs = findings.runs
    return {
        "sections": sections,
        "outcome": outcome_words(findings.found),
        "spreads": [_spread(one) for one in spreads_of(findings.found)],
        "figure_2": _figure_2(folder),
        "not_run": list(_not_run(findings)),
        "stale": len(findings.stale),
        "machines": _unique(runs, ["machine", "torch", "python", "git_commit"]),
        "data": _unique(runs, ["data", "data_fingerprint"]),
        "run_count": len(runs),
    }


def _base(one: Evidence) -> dict:
    control_recipe = one.claim.bases[one.claim.default_bases[0]]
    return {
        "name": one.base,
        "verdict": sentences.verdict_words(one),
        "word": one.word,
        "effect": phrases.observed_words(one),
        "power": _power_words(one),
        "took": _took_words(one),
        **_design(one),
        "seconds_ratio": _seconds_words(one),
        "seeds": phrases.seeds_words(one),
        "look": sentences.look_words(one.verdict),
        "machine": one.machine,
        "why": sentences.why(one),
        "more_seeds": sentences.more_seeds_words(one),
        "holm": phrases.number(one.verdict.holm_p, 2),
        "other_images": phrases.other_images_words(one),
        "p_values": _p_words(one),
        "diff": _diff_words(differences(one.claim.bases[one.base], control_recipe)) or f"as {one.claim.default_bases[0]}",
        "arms": [_arm(one, arm) for arm in one.arms],
    }


def _design(one: Evidence) -> dict:
    """Of a factorial, what it is, and each effect with what its runs cannot tell from it."""
    if not isinstance(one.claim.rule, Factorial):
        return {"design": "", "contrasts": []}
    design, effects = one.claim.rule.design, one.verdict.contrasts
    return {
        "design": designs.design_words(design),
        "contrasts": [
            {
                "name": designs.effect_name(group, one.claim.rule.off),
                "effect": designs.contrast_words(effects[group.name], one.claim.measure.unit),
                "aliases": designs.alias_words(group),
            }
            for group in design.groups
        ],
    }


def _arm(one: Evidence, arm: ArmEvidence) -> dict:
    seconds = [s for s in arm.seconds_to_target if s is not None and arm.timed]
    edge = " (at the edge of the list)" if arm.tuned["at_edge"] else ""
    return {
        "label": arm.label,
        "diff": ", ".join(f"{k} = {v}" for k, v in {**arm.diff, **arm.also.get(one.base, {})}.items()) or "(control)",
        "rate": f"{arm.rate:g}{edge}",
        "tuned_on": arm.tuned["tuned_on"],
        "n": len(arm.seeds),
        "arrived": f"{len(arm.seeds) - arm.censored} of {len(arm.seeds)}",
        "each": [phrases.value_words(arm, value, one.claim) for value in arm.values],
        "mean": phrases.mean_words(arm, one.claim),
        "seconds": phrases.number(sum(seconds) / len(seconds)) if seconds else "-",
        "test_errors": [percent_range(arm.errors[column]) for column in ERRORS_SHOWN],
        "outcomes": ", ".join(f"{arm.outcomes.count(o)} {o}" for o in dict.fromkeys(arm.outcomes)),
        "effect": phrases.against_control_words(one, arm),
        "initial_logits": "-" if arm.initial_logits is None else f"x{phrases.number(arm.initial_logits)}",
        "runs": _runs(arm),
    }


def _runs(arm: ArmEvidence) -> list[str]:
    """Key and seed of each run, and its machine where there are several."""
    several = len(set(arm.machines)) > 1
    rows = zip(arm.keys, arm.seeds, arm.machines, strict=True)
    return [f"{key} (seed {seed}{f', {machine}' if several else ''})" for key, seed, machine in rows]


def _p_words(one: Evidence) -> str:
    look, told = one.verdict.told, []
    if look.permutation_p == look.permutation_p:
        floor = phrases.number(look.permutation_floor, 2)
        binds = ", so it cannot be below 0.05" if look.permutation_floor > 0.05 else ""
        told.append(
            f"exact permutation p {phrases.number(look.permutation_p, 2)} (the least that so few runs give: {floor}{binds})"
        )
    if look.order_p == look.order_p:
        told.append(f"of the order of arrivals, seed by seed, p {phrases.number(look.order_p, 2)}")
    text = "; ".join(told)
    return f" As a check beside: {text}." if text else ""


def _took_words(one: Evidence) -> str:
    """Seconds of training of all runs shown, which other claims may share."""
    seconds = [curve["seconds"][-1] for arm in one.arms for curve in arm.curves]
    minutes, each = sum(seconds) / 60, sum(seconds) / len(seconds)
    return f" Their training took {minutes:.0f} min in all, {each:.0f} s a run, each on its share of the machine."


def _power_words(one: Evidence) -> str:
    """Power of the test that decides, by the last look; empty where there is none to tell."""
    verdict = one.verdict
    if verdict.power != verdict.power or verdict.is_final:
        return ""
    value = one.claim.reported.value
    effect = value or one.claim.rule.smallest_effect or 0.0
    size = f"x{effect:g}" if one.claim.measure.kind == "time" else f"{abs(effect):g} {one.claim.measure.unit}"
    what = f"the reported {size}" if value else f"{size}, the least that matters here"
    found, nothing = (_chance_words(power) for power in (verdict.power, verdict.power_of_no_effect))
    return (
        f" If the spread stays as it is, a true effect of {what} is found by the last look with a probability of {found}, "
        f'and a true zero is called "no effect" with {nothing}.'
    )


def _chance_words(chance: float) -> str:
    return "over 99%" if chance > 0.99 else "under 1%" if chance < 0.01 else f"{chance:.0%}"


def _seconds_words(one: Evidence) -> str:
    """Of a claim about times, the ratio in seconds of training."""
    if one.claim.measure.kind != "time":
        return ""
    if not one.seconds_ratio:
        return " In seconds of training: not given (a run was censored, or shared its cores with other work)."
    return f" In seconds of training: {phrases.effect_words(one.seconds_ratio)}."


def _diff_words(diff: Mapping[str, tuple]) -> str:
    return ", ".join(f"{name} = {new}" for name, (_, new) in diff.items() if new is not None)


def _command(one: Evidence) -> str:
    """What makes these runs; `ARMS=all` where others than the default arms are there."""
    seeds = max(len(arm.seeds) for arm in one.arms)
    more = " ARMS=all" if any(arm.label not in one.claim.default_arms for arm in one.arms) else ""
    return f"{one.claim.command} SCALE={one.scale} SEEDS={seeds}{more}"


PRINTED_NEURONS = (253_440, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000)
"""Section 3.5 and figure 2. The first is not 55 * 55 * 96, what its own text gives."""


def _parameters(layer: Layer, size: Sizes) -> int:
    """Weights and biases of a layer that is a convolution or full."""
    of_a_unit = size.inputs // size.groups * (layer.kernel**2 if layer.kind == "convolution" else 1)
    return size.outputs * (of_a_unit + 1)


def _figure_2(folder: Path) -> dict:
    """The architecture that the code builds, in numbers beside the printed ones, and drawn."""
    path = folder / "figures" / "architecture-source-2012.png"
    model = SOURCE_2012.model
    sizes = sizes_of(model)
    weights = [_parameters(layer, size) for layer, size in zip(model.layers, sizes, strict=True)]
    neurons = [size.outputs * size.map_size**2 for size in sizes]
    layers = zip(model.layers, sizes, neurons, PRINTED_NEURONS, weights, strict=True)
    rows = [
        (n + 1, layer.kind, size.outputs, f"{here:,}", f"{printed:,}", f"{count:,}", f"{count / sum(weights):.2%}")
        for n, (layer, size, here, printed, count) in enumerate(layers)
    ]
    shares = [count / sum(weights) for layer, count in zip(model.layers, weights, strict=True) if layer.kind == "convolution"]
    counted = (
        f"The paper says 60 million parameters and 650,000 neurons; counted are {sum(weights):,} and {sum(neurons):,}. It says "
        "that no convolutional layer has more than 1% of the parameters (section 1); "
        f"{sum(share > 0.01 for share in shares)} of {len(shares)} have, at most {max(shares):.2%}."
    )
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_architecture(model, "SOURCE_2012", path)
    return {"rows": rows, "counted": counted, "picture": _embedded(path, "Figure 2: the architecture of SOURCE_2012")}


def _picture(path: Path, one: Evidence) -> dict:
    kind = path.stem.removeprefix(f"{one.claim_name}-{one.scale}-")
    return _embedded(path, f"{one.claim.title}, {one.scale}: {kind}")


def _embedded(path: Path, alt: str) -> dict:
    source = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
    return {"path": f"figures/{path.name}", "alt": alt, "source": source}


def _not_run(findings: Findings) -> Iterator[dict]:
    """What the claims ask for and no run answers: for each claim and scale the bases and arms, and why."""
    there = {(one.claim_name, one.scale, one.base, arm.label) for one in findings.found for arm in one.arms}
    for name, claim in all_claims().items():
        for scale, role in claim.scales.items():
            if role == "machinery":
                continue
            for base, recipe in claim.bases.items():
                missing = [arm.label for arm in claim.arms if (name, scale, base, arm.label) not in there]
                if missing and SCALES[scale].suits(recipe):
                    whole = len(missing) == len(claim.arms)
                    yield {"claim": name, "scale": scale, "base": base, "arms": "all" if whole else ", ".join(missing)}


def _unique(frame, columns: list[str]) -> list[dict]:
    return frame.groupby(columns, as_index=False).size().rename(columns={"size": "runs"}).to_dict("records")


def _spread(one: Spread) -> dict:
    """A table of where the spread of runs comes from."""
    rows = [
        {
            "name": row["component"],
            "sd": f"{row['sd']:.2f}" if row["sd"] == row["sd"] else "not known",
            "interval": f"[{row['lower']:.2f}, {row['upper']:.2f}]" if row["lower"] == row["lower"] else "-",
            "n": int(row["n"]),
        }
        for row in one.components.to_dict("records")
    ]
    correlation, lower, upper = one.correlation
    alike = f"two arms at one seed correlate by {correlation:.2f} [{lower:.2f}, {upper:.2f}]"
    title = f"{one.base} on {one.data} ({one.fingerprint}): {phrases.measured(one.measure)}; {alike}"
    return {"title": title, "rows": rows}


def in_markdown(value: object) -> object:
    """A text as itself: one line, that opens no tag, ends no cell of a table and makes no link or code."""
    if not isinstance(value, str):
        return value
    return " ".join(re.sub(r"[|<`]|(?<=\])(?=[(:\[])", r"\\\g<0>", value).splitlines())


def _render(name: str, context: Mapping, escape: bool) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=escape, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, finalize=None if escape else in_markdown,
    )  # fmt: skip
    return environment.get_template(name).render(context)

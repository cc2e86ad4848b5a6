"""What the claims ask of trained weights rather than of errors: kernels, nearest images, ensembles, figure 4. Needs torch.

Read from the spool, where every run keeps its weights; written to results/trained.json and results/figures, from which the
report is made without torch. Everything here is a pure function of weights and images and can be made again at any time.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from alexnet.data.batches import Feed
from alexnet.data.image_sets import class_names
from alexnet.data.prefetch import in_parts, slices, whole
from alexnet.files import locked, write_atomically
from alexnet.model.network import AlexNet
from alexnet.recipe import Recipe
from alexnet.training.checkpoint import WEIGHTS, sha256_of
from alexnet.training.evaluate import credit, ensemble, probabilities
from study.plan.claim_files import get_claim
from study.plan.plan import Cell
from study.questions.measures import Averaged, ColumnColour, NeighbourGain
from study.record.tables import read_trained, run_name
from study.run.one_run import Place, images_of
from study.run.result import RunResult
from study.run.run_folder import read_result

QUERIES = 1000
"""Test images whose neighbours are sought: the first so many. All training images are searched, exactly."""
NEAREST = 6


def asks_weights(cell: Cell) -> bool:
    """Whether the claim of a run looks at weights."""
    return isinstance(get_claim(cell.claim).measure, ColumnColour | NeighbourGain | Averaged)


def derive(cells: Sequence[Cell], place: Place, results: Path, say: Callable[[str], None]) -> None:
    """For the finished runs of `cells`, what their claims ask of their weights, where it is not there yet. Runs whose weights are
    no longer those that were trained are left out, and named."""
    done = [(cell, result) for cell in cells if asks_weights(cell) and (result := read_result(place.spool_dir / cell.key))]
    done = [(c, r) for c, r in done if r.outcome == "finished" and (place.spool_dir / c.key / WEIGHTS).exists()]
    damaged = [cell for cell, result in done if not _are_whole(place.spool_dir / cell.key / WEIGHTS, result)]
    for cell in damaged:
        folder = place.spool_dir / cell.key
        say(f"{cell.label}: left out, {folder / WEIGHTS} is damaged; without {folder} the same command trains it again")
    done = [(cell, result) for cell, result in done if cell not in damaged]
    for cell, result in done:
        name, measure = run_name(cell.key, result.machine.label), get_claim(cell.claim).measure
        known = read_trained(results)["runs"].get(name, {})
        if isinstance(measure, ColumnColour) and "kernels" not in known:
            _put(results, name, {"kernels": kernels_of(load_network(cell, place))})
        picture = _figure_4_path(cell, place, results) if cell.seed == 0 else None
        if isinstance(measure, NeighbourGain) and ("neighbours" not in known or (picture and not picture.exists())):
            say(f"{cell.label}: nearest training images of {QUERIES} test images")
            _put(results, name, {"neighbours": neighbours_of(cell, place, picture)})
    groups = defaultdict(list)
    for cell, result in done:
        if isinstance(measure := get_claim(cell.claim).measure, Averaged) and cell.seed < measure.nets:
            groups[cell.claim, cell.base, cell.arm, result.machine.label].append(cell)
    for (claim, *_, machine), members in groups.items():
        members.sort(key=lambda cell: cell.seed)
        names = [run_name(cell.key, machine) for cell in members]
        if len(members) < get_claim(claim).measure.nets or any(e["runs"] == names for e in read_trained(results)["ensembles"]):
            continue
        say(f"averaging {len(members)} nets, {members[0].base} {members[0].arm}")
        _put_ensemble(results, {"runs": names, **ensemble_of(members, place)})


def _are_whole(path: Path, result: RunResult) -> bool:
    try:
        return sha256_of(torch.load(path, map_location="cpu", weights_only=True)) == result.weights_sha256
    except Exception:  # torch.load raises whatever a damaged file leads it to
        return False


def load_network(cell: Cell, place: Place) -> AlexNet:
    """The trained network of a finished run, in evaluation mode, on the place's device."""
    network = AlexNet(cell.recipe, cell.seed)
    state = torch.load(place.spool_dir / cell.key / WEIGHTS, map_location="cpu", weights_only=True)
    network.load_state_dict(state)
    return network.to(place.machine.device, memory_format=torch.channels_last).eval()


def kernels_of(network: AlexNet) -> list:
    """Layer 1's weights [kernels, 3, side, side], four digits each: what figure 3 draws."""
    return [
        [[[float(f"{v:.4g}") for v in row] for row in plane] for plane in kernel]
        for kernel in network.layers[0].weights.weight.detach().float().cpu().tolist()
    ]


def _setting(recipe: Recipe, place: Place, seed: int) -> tuple[Feed, torch.autocast]:
    torch.set_num_threads(place.machine.threads * (place.machine.jobs if place.machine.device == "cpu" else 1))
    images = images_of(recipe.data.name, place.data_dir).to(place.machine.device)
    autocast = torch.autocast(place.machine.device, torch.bfloat16, enabled=place.machine.precision == "bf16")
    return Feed(recipe, images, seed), autocast


@torch.inference_mode()
def features_of(network: AlexNet, batches: Iterable[tuple[Tensor, Tensor]], autocast: torch.autocast) -> tuple[Tensor, Tensor]:
    """The last hidden layer [n, units] (after its activation, without dropout, as the 2012 code compared it) and the logits."""
    network.eval()
    kept, logits = [], []
    for inputs, _ in batches:
        with autocast:
            units = network.border(inputs[:, 0])
            for layer in network.layers[:-1]:
                units = layer(units)
            logits.append(network.layers[-1](units).float())
        kept.append(units.float())
    return torch.cat(kept), torch.cat(logits)


def nearest(queries: Tensor, parts: Iterable[Tensor], count: int) -> Tensor:
    """For each of queries [q, d] the positions [q, count] of the nearest of images [n, d], which come in parts, by Euclidean
    distance: exact, all compared, nearest first."""
    distances, positions, first = queries.new_empty(len(queries), 0), torch.empty(len(queries), 0, dtype=torch.int64), 0
    positions = positions.to(queries.device)
    for part in parts:
        own = [torch.cdist(some, part).topk(min(count, len(part)), largest=False) for some in queries.split(200)]
        distances = torch.cat([distances, torch.cat([one.values for one in own])], 1)
        positions = torch.cat([positions, first + torch.cat([one.indices for one in own])], 1)
        distances, best = distances.topk(min(count, distances.shape[1]), largest=False)
        positions, first = positions.gather(1, best), first + len(part)
    return positions


def neighbours_of(cell: Cell, place: Place, picture: Path | None) -> dict:
    """Of how many of the NEAREST training images the label is the query's, by last-hidden-layer and by pixel distance; and
    figure 4 into `picture`."""
    feed, autocast = _setting(cell.recipe, place, cell.seed)
    network = load_network(cell, place)
    test, labels = feed.test[0][:QUERIES], feed.test[1][:QUERIES]
    queries, logits = features_of(network, feed.views(test, labels), autocast)
    trained, _ = features_of(network, feed.views(feed.images, feed.labels), autocast)
    by_features = nearest(queries, [trained], NEAREST)
    size = len(feed.images) if isinstance(feed.images, Tensor) else 1000
    by_pixels = nearest(
        whole(test).flatten(1).float(),
        (part.flatten(1).float() for part in in_parts(feed.images, slices(len(feed.images), size))),
        NEAREST,
    )
    same = {
        name: (feed.labels[found] == labels[:, None]).double().mean().item()
        for name, found in (("features", by_features), ("pixels", by_pixels))
    }
    if picture:
        from study.report.figures import figure_4, save

        shown = spread(labels.tolist(), 8)
        rows = [
            {
                "image": whole(test[i : i + 1])[0].cpu().numpy(),
                "label": int(labels[i]),
                "best": [(int(c), float(p)) for p, c in zip(*logits[i].softmax(0).topk(5), strict=True)],
                "nearest": [
                    (whole(feed.images[j : j + 1])[0].cpu().numpy(), int(feed.labels[j])) for j in by_features[i].tolist()
                ],
            }
            for i in shown
        ]
        names = class_names(cell.recipe.data.name, place.data_dir)
        title = f"{cell.base}, seed {cell.seed}, {cell.recipe.data.name} ({cell.fingerprint}) on {place.machine.label}"
        save(figure_4(rows, names, title), picture)
    return {"same_label": {k: round(v, 6) for k, v in same.items()}, "queries": len(labels), "nearest": NEAREST}


def _figure_4_path(cell: Cell, place: Place, results: Path) -> Path:
    from study.report.figures import stem

    return results / "figures" / f"{stem(cell.claim, cell.scale, place.machine.label)}-figure-4.png"


def spread(labels: Sequence[int], count: int) -> list[int]:
    """The first image of each of `count` labels in the order of their numbers: chosen by nothing that a network did."""
    first = {}
    for position, label in enumerate(labels):
        first.setdefault(label, position)
    return [first[label] for label in sorted(first)][:count]


def ensemble_of(cells: Sequence[Cell], place: Place) -> dict:
    """Errors of the nets' averaged probabilities beside the mean of their own errors, for one view and ten, top-1 and top-5.

    `standard_error` is that of the difference over test images, nets held fixed.
    """
    feed, autocast = _setting(cells[0].recipe, place, cells[0].seed)
    told = {"nets": len(cells), "images": len(feed.test[1])}
    for views, ten in (("one_view", False), ("ten_views", True)):
        if ten and feed.test[0].shape[1] <= feed.size:
            continue
        members = [probabilities(load_network(c, place), feed.views(*feed.test, ten=ten), autocast)[0] for c in cells]
        for top in (1, 5):
            averaged = 1 - credit(ensemble(members), feed.test[1], top).double()
            alone = torch.stack([1 - credit(m, feed.test[1], top).double() for m in members]).mean(0)
            difference = averaged - alone
            told[f"{views}_top{top}"] = {
                "averaged": round(averaged.mean().item(), 6),
                "alone": round(alone.mean().item(), 6),
                "standard_error": round((difference.std() / len(difference) ** 0.5).item(), 7),
            }
    return told


def _put(results: Path, name: str, told: dict) -> None:
    with locked(results / ".table.lock"):
        all_told = read_trained(results)
        all_told["runs"].setdefault(name, {}).update(told)
        _write(results, all_told)


def _put_ensemble(results: Path, told: dict) -> None:
    with locked(results / ".table.lock"):
        all_told = read_trained(results)
        if not any(known["runs"] == told["runs"] for known in all_told["ensembles"]):  # another process was as quick
            all_told["ensembles"].append(told)
            _write(results, all_told)


def _write(results: Path, told: dict) -> None:
    text = json.dumps({**told, "runs": dict(sorted(told["runs"].items()))}, separators=(",", ":"))
    write_atomically(results / "trained.json", (text.replace('},"', '},\n"') + "\n").encode())

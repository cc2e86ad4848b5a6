"use strict";
// Sorts and filters findings, and shows what each run is. Without this script the page is complete, but static.
// The address has the choices after "#", as in #verdict=undecided&sort=seeds, so that a view can be sent to somebody.
(() => {
  const form = document.getElementById("choose");
  const tip = document.getElementById("tip");
  let at = "";  // the claim that the address points to, besides the choices

  if (form) {
    const table = document.getElementById("overview");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row, place) => ({row, place, facts: JSON.parse(row.dataset.facts), order: JSON.parse(row.dataset.order)}));
    const claims = [...document.querySelectorAll("article")].map(row => ({row, facts: JSON.parse(row.dataset.facts)}));
    const choices = [...form.querySelectorAll("select:not([name=sort])")];
    const {sort, down} = form.elements;
    const columns = [...sort.options].map(option => option.value);

    const suits = one => choices.every(choice => !choice.value || one.facts[choice.name].includes(choice.value));
    const before = (one, other) => {
      const name = sort.selectedIndex ? sort.value : "claim";
      const [x, y] = [one.order[name], other.order[name]];
      if (x === null || y === null) return (x === null) - (y === null) || one.place - other.place;  // rows without a number come last
      return (down.checked ? y - x : x - y) || one.place - other.place;
    };

    const show = () => {
      for (const one of [...rows, ...claims]) one.row.hidden = !suits(one);
      body.append(...[...rows].sort(before).map(one => one.row));
      for (const head of table.tHead.rows[0].cells) {
        const chosen = head.dataset.column === (sort.selectedIndex ? sort.value : "claim");
        if (chosen) head.setAttribute("aria-sort", down.checked ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      }
      const findings = rows.filter(one => "tested" in one.row.dataset);
      const [there, all] = [findings.filter(suits).length, rows.filter(suits).length];
      const more = all > there ? `, and ${all - there} without a claim` : "";
      document.getElementById("shown").textContent = `${there} of ${findings.length} findings shown${more}`;
    };

    const toAddress = () => {
      const view = new URLSearchParams();
      for (const choice of choices) if (choice.value) view.set(choice.name, choice.value);
      if (sort.selectedIndex) view.set("sort", sort.value);
      if (down.checked) view.set("down", "1");
      const named = view.toString() ? (at && view.set("at", at), view.toString()) : at;
      history.replaceState(null, "", "#" + named);
    };

    const fromAddress = () => {
      const written = location.hash.slice(1);
      at = "";
      if (written && !written.includes("=")) {
        at = decodeURIComponent(written);
      } else {
        const view = new URLSearchParams(written);
        for (const choice of choices) choice.value = view.get(choice.name) ?? "";
        for (const choice of choices) if (choice.selectedIndex < 0) choice.selectedIndex = 0;  // a value that this page does not have
        sort.selectedIndex = Math.max(0, columns.indexOf(view.get("sort") ?? columns[0]));
        down.checked = view.get("down") === "1";
        at = view.get("at") ?? "";
      }
      const claim = at && document.getElementById(at);
      if (claim && claim.dataset.facts && !suits({facts: JSON.parse(claim.dataset.facts)})) for (const choice of choices) choice.value = "";
      show();
      if (claim) claim.scrollIntoView();
    };

    for (const head of table.tHead.rows[0].cells) {
      const name = head.dataset.column;
      if (name !== "claim" && !columns.includes(name)) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const index = name === "claim" ? 0 : columns.indexOf(name);
        down.checked = sort.selectedIndex === index && !down.checked;
        sort.selectedIndex = index;
        show();
        toAddress();
      });
    }
    table.addEventListener("click", event => {
      const link = event.target.closest("a");
      if (!link) return;
      event.preventDefault();
      at = decodeURIComponent(link.hash.slice(1));
      toAddress();
      const title = document.getElementById(`${at}-title`);
      title.tabIndex = -1;
      title.focus();
      document.getElementById(at).scrollIntoView();
    });
    form.addEventListener("input", () => { show(); toAddress(); });
    form.addEventListener("reset", () => setTimeout(() => { at = ""; show(); toAddress(); }));
    addEventListener("hashchange", fromAddress);
    form.hidden = false;
    fromAddress();
  }

  // ---- Runs: pointed at, reached by the arrow keys, kept open by a click or Enter ----

  let shownBy = "";  // "pointer", "click" or "key", which decides what hides it again
  const say = (by, mark, x, y, more = "") => {
    shownBy = by;
    for (const other of document.querySelectorAll("svg .on")) other.classList.remove("on");
    mark.classList.add("on");
    const text = document.createElement("p");
    text.textContent = mark.getAttribute("aria-label") + more;
    tip.replaceChildren(text);
    const train = mark.parentNode.dataset.train;
    if (train) {
      const command = document.createElement("code");
      command.textContent = `${train} ${mark.dataset.seed}`;
      tip.append(command);
    }
    tip.hidden = false;
    tip.style.left = Math.max(8, Math.min(x + 12, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = (y + 16 + tip.offsetHeight > innerHeight ? Math.max(8, y - tip.offsetHeight - 12) : y + 16) + "px";
  };
  const hush = () => {
    shownBy = "";
    tip.hidden = true;
    for (const mark of document.querySelectorAll("svg .on")) mark.classList.remove("on");
  };
  const name = mark => {  // its title becomes its label, so that the browser does not show it twice
    const title = mark.querySelector("title");
    if (!title) return;
    mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", title.textContent);
    title.remove();
  };
  const middle = mark => {
    const box = mark.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };
  const nearest = (picture, event) => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
    let found = null;
    for (const line of picture.querySelectorAll("polyline")) {
      for (let i = 0; i < line.points.numberOfItems; i++) {
        const point = line.points.getItem(i);
        const away = Math.hypot(point.x - place.x, point.y - place.y);
        if (!found || away < found.away) found = {line, i, away};
      }
    }
    return found && found.away < 30 ? found : null;
  };

  for (const picture of document.querySelectorAll("svg.points, svg.curves")) {
    const marks = () => [...picture.querySelectorAll("circle, polyline")];
    picture.tabIndex = 0;
    picture.setAttribute("aria-label", `${picture.getAttribute("aria-label")}; the arrow keys go from run to run`);
    const pick = event => {
      if (picture.classList.contains("points")) {
        const mark = event.target.closest("circle");
        return mark && {mark, more: ""};
      }
      const found = nearest(picture, event);
      return found && {mark: found.line, more: `; epoch ${found.i + 1}`};
    };
    const point = event => {
      if (shownBy === "click" && event.type !== "click") return;
      const found = pick(event);
      if (!found) return hush();
      name(found.mark);
      say(event.type === "click" ? "click" : "pointer", found.mark, event.clientX, event.clientY, found.more);
    };
    picture.addEventListener("pointermove", point);
    picture.addEventListener("click", point);
    picture.addEventListener("pointerleave", () => shownBy === "pointer" && hush());
    picture.addEventListener("blur", () => shownBy === "key" && hush());
    picture.addEventListener("keydown", event => {
      const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const all = marks();
      const now = all.findIndex(mark => mark.classList.contains("on"));
      const next = all[now < 0 ? (step > 0 ? 0 : all.length - 1) : (now + step + all.length) % all.length];
      name(next);
      say("key", next, ...middle(next));
    });
  }
  tip.setAttribute("role", "status");
  addEventListener("keydown", event => event.key === "Escape" && hush());
  addEventListener("scroll", () => shownBy === "pointer" && hush(), {passive: true});
  addEventListener("beforeprint", () => { for (const keys of document.querySelectorAll("details")) keys.open = true; });
})();

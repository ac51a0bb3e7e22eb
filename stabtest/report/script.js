"use strict";
(() => {
  // Everything is readable without this script: it opens folded tables for print and where a link leads, and adds a comparison of two pictures.
  const opened = [];
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details:not([open])")) { fold.open = true; opened.push(fold); }
  });
  addEventListener("afterprint", () => { for (const fold of opened.splice(0)) fold.open = false; });
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const fold = target && target.closest("details");
    if (fold) { fold.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", reveal);
  reveal();
  if (matchMedia("(max-width: 40rem)").matches) document.querySelector(".contents details").open = false;

  const make = (tag, values = {}, children = []) => {
    const element = Object.assign(document.createElement(tag), values);
    element.append(...children);
    return element;
  };
  const viewer = (panel, shots) => {
    const labels = shots.map((shot) => shot.dataset.label);
    const choose = (index) => {
      const list = make("select", {}, labels.map((label, at) => make("option", { value: String(at), textContent: label })));
      list.value = String(index);
      return list;
    };
    const find = (word, fallback) => Math.max(fallback, labels.findIndex((label) => label.startsWith(word)));
    const first = choose(find("Clean", 0)), second = choose(find("Perturbed", 1));
    const under = make("img", { alt: "" }), over = make("img", { alt: "" });
    const share = make("input", { type: "range", min: "0", max: "100", value: "50" });
    const swap = make("button", { type: "button", textContent: "A/B" });
    swap.setAttribute("aria-pressed", "false");
    const said = make("output");
    const show = () => {
      const a = shots[first.value], b = shots[second.value];
      under.src = a.src; under.alt = a.alt; over.src = b.src; over.alt = b.alt;
      over.style.clipPath = `inset(0 0 0 ${share.value}%)`;
      const words = { 0: `B: ${b.dataset.label}`, 100: `A: ${a.dataset.label}` };
      said.textContent = words[share.value] || `left A: ${a.dataset.label}; right B: ${b.dataset.label}`;
      swap.setAttribute("aria-pressed", String(share.value === "0"));
    };
    swap.addEventListener("click", () => { share.value = share.value === "100" ? "0" : "100"; show(); });
    for (const control of [first, second, share]) control.addEventListener("input", show);
    const label = (text, control) => make("label", {}, [text, control]);
    const controls = make("div", { className: "controls" }, [label("A", first), label("B", second), swap, label("Divide", share)]);
    const box = make("div", { className: "viewer" }, [controls, make("div", { className: "stage" }, [under, over]), said]);
    show();
    return box;
  };
  for (const panel of document.querySelectorAll(".panel")) {
    const shots = [...panel.querySelectorAll("img[data-label]")];
    if (shots.length < 2) continue;
    const button = make("button", { type: "button", textContent: "Compare two pictures" });
    button.setAttribute("aria-expanded", "false");
    let box = null;
    button.addEventListener("click", () => {
      if (box) { box.remove(); box = null; } else { box = viewer(panel, shots); panel.append(box); }
      button.setAttribute("aria-expanded", String(Boolean(box)));
    });
    panel.append(button);
  }
})();

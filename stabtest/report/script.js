// Everything is readable without a script: this opens folded tables for print and where a link leads. The viewer follows (viewer.js).
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
const button = (text, name) => {
  const made = make("button", { type: "button", textContent: text });
  if (name) made.setAttribute("aria-label", name);
  return made;
};

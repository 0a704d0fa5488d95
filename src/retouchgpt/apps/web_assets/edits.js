// The edits in force, each with its strength and a way out. Sends 'weighed' {turn, edit, strength} and 'dropped'
// {turn, edit}; strengths in [0, 1].
const root = element.querySelector(".rg-edits");

function row(item) {
  const line = document.createElement("div");
  line.className = "rg-edit";
  line.setAttribute("role", "listitem");
  const label = document.createElement("label");
  const words = document.createElement("span");
  words.textContent = item.words;
  const range = document.createElement("input");
  Object.assign(range, { type: "range", min: 0, max: 100, step: 5, value: Math.round(100 * item.strength) });
  const share = document.createElement("output");
  share.textContent = range.value + " %";
  range.addEventListener("input", () => { share.textContent = range.value + " %"; });
  range.addEventListener("change", () =>
    trigger("weighed", { turn: item.turn, edit: item.edit, strength: range.value / 100 }));
  label.append(words, range, share);
  const drop = document.createElement("button");
  drop.type = "button";
  drop.textContent = "Leave out";
  drop.setAttribute("aria-label", "Leave out: " + item.words);
  drop.addEventListener("click", () => trigger("dropped", { turn: item.turn, edit: item.edit }));
  line.append(label, drop);
  return line;
}

function update() {
  const items = Array.isArray(props.value) ? props.value : [];
  root.setAttribute("role", items.length ? "list" : "presentation");
  if (items.length) root.replaceChildren(...items.map(row));
  else root.textContent = "Nothing is edited yet.";
}

watch("value", update);
update();

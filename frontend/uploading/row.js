// One chosen file on the page, from the moment it is chosen until it arrived: what it is, how far it is, what can be done about it.
import { count, element, say, size, span } from "./words.js";

export class Row {
  /** `item.file` is shown; the row is put at the end of `list`. */
  constructor(item, list) {
    this.what = element("p", { class: "small", hidden: true });
    this.fill = element("i");
    this.bar = element("div", { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": item.file.name, hidden: true }, this.fill);
    this.status = element("p", { class: "small muted tabular" });
    this.extra = element("div", { class: "grid gap-2", hidden: true });
    this.actions = element("div", { class: "flex flex-wrap gap-2" });
    const title = element("div", { class: "min-w-0 flex-1 basis-52" }, element("strong", { class: "font-semibold anywhere" }, item.file.name), " ", element("span", { class: "small muted nowrap" }, size(item.file.size)));
    this.node = element("li", { class: "sending" }, element("div", { class: "head" }, title, this.actions), this.what, this.bar, this.status, this.extra);
    list.append(this.node);
  }

  /** What the header says it is; `found` is the hub's suggestion. */
  recognised(found) {
    this.what.hidden = false;
    this.what.replaceChildren();
    if (found.problem) {
      this.what.append(element("span", { class: "warn" }, found.problem));
      return;
    }
    const words = [found.label, found.base_model, found.precision].filter(Boolean);
    if (!words.length) this.what.append(element("span", { class: "muted" }, say("readLater")));
    for (const word of words) this.what.append(element("span", { class: "badge" }, word), " ");
    if (found.trigger_words?.length) this.what.append(element("span", { class: "muted" }, say("words", { words: found.trigger_words.slice(0, 5).join(", ") })));
    if (found.evidence?.length) this.what.title = found.evidence.slice(0, 3).join("\n");
  }

  /** A line under the name, and a share of 1 for the bar; without `share` there is no bar. */
  says(text, share) {
    this.node.dataset.state = "";
    this.status.className = "small muted tabular";
    this.status.removeAttribute("role");
    this.status.textContent = text;
    this.bar.hidden = share === undefined;
    if (share !== undefined) {
      const percent = Math.floor(100 * Math.min(1, share));
      this.fill.style.width = `${percent}%`;
      this.bar.setAttribute("aria-valuenow", percent);
    }
  }

  fails(text) {
    this.says(text);
    this.node.dataset.state = "failed";
    this.status.className = "small bad";
    this.status.setAttribute("role", "alert");
  }

  ends(text, link) {
    this.says(text);
    this.node.dataset.state = "done";
    this.status.className = "small ok";
    if (link) this.status.append(" ", element("a", { class: "link", href: link.url }, link.text));
    this.does();
  }

  /** Buttons: [[text, what happens], ...] in place of those that were there. A button that has the focus and stays keeps it. */
  does(...buttons) {
    const focused = this.actions.contains(document.activeElement) ? document.activeElement.textContent : "";
    this.actions.replaceChildren(
      ...buttons.map(([text, act]) => {
        const button = element("button", { type: "button", class: "btn btn-small" }, text);
        button.addEventListener("click", act);
        return button;
      }),
    );
    for (const button of this.actions.children) if (button.textContent === focused) button.focus();
  }

  hashing(done, total) {
    this.says(say("hashing", { done: size(done), size: size(total) }), done / total);
  }
}

/** How fast it goes and how long it will take, told from the last seconds. */
export class Pace {
  constructor() {
    this.seen = [];
  }

  /** `done` of `total` bytes now: ", 34 MB/s, 3 min left", or "" while that is not known. */
  after(done, total) {
    const now = performance.now();
    this.seen.push([now, done]);
    while (this.seen.length > 2 && now - this.seen[0][0] > 8000) this.seen.shift();
    const [since, before] = this.seen[0];
    const perSecond = (done - before) / ((now - since) / 1000);
    if (now - since < 700 || !(perSecond > 0)) return "";
    return say("pace", { speed: size(perSecond), left: span((total - done) / perSecond) });
  }
}

/** "part 26 of 441" */
export function parts(done, all) {
  return say("parts", { n: count(done), all: count(all) });
}

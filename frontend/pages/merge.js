// The merge page: the dial and the number of the multiplier are one value. What would come out is asked for by htmx.
import "./merge.css";

for (const dial of document.querySelectorAll("[data-dial]")) {
  const number = document.getElementById(dial.dataset.dial);
  const told = () => number.dispatchEvent(new Event("dialled", { bubbles: true }));
  dial.addEventListener("input", () => {
    number.value = dial.value;
    told();
  });
  number.addEventListener("input", () => {
    dial.value = number.value;
    told();
  });
  dial.value = number.value;
}

// Enter in a search looks, as typing does; it orders nothing.
document.getElementById("merge-form")?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches('input[type="search"]')) event.preventDefault();
});

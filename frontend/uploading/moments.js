// Moments that the hub says in UTC, said in this browser's time beside it. Without a script UTC is all there is.

export function moments() {
  for (const place of document.querySelectorAll("time[data-here]")) {
    const field = place.dataset.follows && document.getElementById(place.dataset.follows);
    const show = () => {
      const moment = new Date(field ? `${field.value}Z` : place.dateTime);
      const known = !Number.isNaN(moment.getTime());
      const text = known ? moment.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" }) : "";
      place.textContent = known ? place.dataset.here.replace("{moment}", `${text} (${Intl.DateTimeFormat().resolvedOptions().timeZone})`) : "";
    };
    field?.addEventListener("input", show);
    show();
  }
}

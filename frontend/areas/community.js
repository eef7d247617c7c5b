// Pictures that were blurred stay sharp for a session once a person said so: the class on the root is put there, kept, and taken away here.
const KEY = "unblurred";
const root = document.documentElement;

try {
  root.classList.toggle(KEY, sessionStorage.getItem(KEY) === "1");
} catch {
  // no storage: blurred again on the next page
}

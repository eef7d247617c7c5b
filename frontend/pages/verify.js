// The page that checks a file against the hub.
import { checking } from "../dropping/checking.js";

for (const root of document.querySelectorAll("[data-checking]")) checking(root);

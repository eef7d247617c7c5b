// The upload page: Uppy in front of the hub's own multipart protocol, the same for local disk and S3.
// Begin -> part URLs -> PUT -> complete. An upload that was interrupted goes on where it stopped when the same file is chosen again.
import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";
import Dashboard from "@uppy/dashboard";
import "@uppy/core/css/style.min.css";
import "@uppy/dashboard/css/style.min.css";
import "./upload.css";

const root = document.getElementById("uploader");
const { version, csrf, extensions, maxBytes, open } = JSON.parse(document.getElementById("upload-data").textContent);

/** Uploads of this version that the server knows as unfinished, by name and size. */
const unfinished = new Map(open.map((upload) => [`${upload.name}/${upload.size}`, upload]));
/** Blob -> bytes per part: Uppy asks for it by the file's data alone. */
const partSizes = new WeakMap();

class Refusal extends Error {}

async function api(method, path, body) {
  const answer = await fetch(`/api/hub/${path}`, {
    method,
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrf },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const data = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(data.error ?? `The hub answered ${answer.status}. Try again in a moment.`);
  return data;
}

/** The server's upload for a file: the unfinished one of the same name and size, or a new one. */
async function uploadFor(file) {
  const key = `${file.name.normalize("NFC").trim()}/${file.size}`;
  const known = unfinished.get(key);
  if (known) return known;
  const begun = await api("POST", `versions/${version}/uploads`, { file_name: file.name, size_bytes: file.size });
  const upload = { id: begun.id, part_size: begun.part_size_bytes, fileId: begun.file_id };
  unfinished.set(key, upload);
  return upload;
}

const uppy = new Uppy({
  autoProceed: true,
  restrictions: { allowedFileTypes: extensions, maxFileSize: maxBytes },
  locale: {
    strings: {
      dropPasteFiles: "Drop weights here or %{browseFiles}",
      browseFiles: "choose files",
      uploadComplete: "Everything arrived",
    },
  },
});

uppy.use(Dashboard, {
  inline: true,
  target: root,
  width: "100%",
  height: 300,
  proudlyDisplayPoweredByUppy: false,
  hideProgressDetails: false,
  showRemoveButtonAfterComplete: false,
  disableThumbnailGenerator: true,
  doneButtonHandler: null,
  theme: theme(),
  note: `${extensions.join(", ")}. An interrupted upload continues when you choose the same file again.`,
});

/** Whether an upload was begun here from this very file; notes the file for next time. Name and size alone would mix two files. */
function sameSource(file, uploadId) {
  const key = `weigh-upload-${uploadId}`;
  const stamp = String(file.data.lastModified);
  const same = localStorage.getItem(key) === stamp;
  localStorage.setItem(key, stamp);
  return same;
}

uppy.use(AwsS3, {
  shouldUseMultipart: () => true,
  limit: 4,
  retryDelays: [0, 1000, 3000, 5000, 10000],
  getChunkSize: (data) => partSizes.get(data),
  createMultipartUpload: async (file) => {
    const upload = await uploadFor(file);
    sameSource(file, upload.id);
    return { uploadId: upload.id, key: upload.id };
  },
  listParts: async (file, { uploadId }) => {
    if (!sameSource(file, uploadId)) return []; // another file of that name and size: send every part anew
    const { parts } = await api("GET", `uploads/${uploadId}`);
    return parts.map((part) => ({ PartNumber: part.number, ETag: part.etag, Size: part.size_bytes }));
  },
  signPart: async (_file, { uploadId, partNumber }) => {
    const [part] = await api("POST", `uploads/${uploadId}/parts`, { numbers: [partNumber] });
    return { url: part.url };
  },
  completeMultipartUpload: async (file, { uploadId }) => {
    await api("POST", `uploads/${uploadId}/complete`, {});
    localStorage.removeItem(`weigh-upload-${uploadId}`);
    unfinished.delete(`${file.name.normalize("NFC").trim()}/${file.size}`);
    return {};
  },
  // What arrived stays on the server: the page offers to go on with it or to discard it.
  abortMultipartUpload: async () => {},
});

// Every upload starts as if it were interrupted: the server says which parts it has, and only the others are sent.
uppy.addPreProcessor((ids) =>
  Promise.all(
    ids.map(async (id) => {
      const file = uppy.getFile(id);
      const upload = await uploadFor(file);
      partSizes.set(file.data, upload.part_size);
      uppy.setFileState(id, { s3Multipart: { key: upload.id, uploadId: upload.id } });
    }),
  ),
);

uppy.on("upload-success", refresh);
uppy.on("error", (error) => complain(error));
uppy.on("upload-error", (file, error) => complain(error, file));
uppy.on("restriction-failed", (file, error) => complain(error, file));
uppy.on("upload-start", () => complain(null));

/** Says beside the widget what went wrong, in the hub's own sentence, for as long as it holds. */
function complain(error, file) {
  const place = document.getElementById("upload-problem");
  place.hidden = !error;
  place.textContent = error ? `${file?.name ? `${file.name}: ` : ""}${error.message}` : "";
}

function refresh() {
  window.htmx.ajax("GET", root.dataset.work, { target: "#work", swap: "outerHTML" });
}

function theme() {
  const chosen = document.documentElement.dataset.theme;
  return chosen === "light" || chosen === "dark" ? chosen : "auto";
}

window.addEventListener("beforeunload", (event) => {
  if (Object.keys(uppy.getState().currentUploads).length > 0) event.preventDefault();
});

root.dataset.ready = "true";

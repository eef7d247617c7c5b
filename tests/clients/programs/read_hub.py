"""Run by an unmodified huggingface_hub, old or new, in its own environment: everything that people read with it, told as JSON.

It knows the hub by `HF_ENDPOINT` and `HF_TOKEN` alone. Each answer is a plain value, or the name of the exception and its words.
"""

import json
import os
import sys
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, parse_safetensors_file_metadata, snapshot_download
from huggingface_hub.utils import HfHubHTTPError

LORA, UNICODE, PRIVATE, SEALED, PICKLE = "ada/paper-lanterns", "ada/rice-paper", "ada/mine-alone", "ada/poisoned", "ada/lantern-style"
WEIGHTS = "lantern v1.0.safetensors"
told = {}
api = HfApi()
anonymous = HfApi(token=False)


def tell(name, ask):
    try:
        told[name] = ask()
    except Exception as error:
        told[name] = [type(error).__name__, str(error)]
        if not isinstance(error, (HfHubHTTPError, OSError, ValueError)):
            raise


def sizes(folder):
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def blob_name(path):
    return os.path.basename(os.path.realpath(path))


tell("download", lambda: blob_name(hf_hub_download(LORA, WEIGHTS)))
tell("again", lambda: blob_name(hf_hub_download(LORA, WEIGHTS, local_files_only=True)))
tell("branch", lambda: blob_name(hf_hub_download(LORA, WEIGHTS, revision="v1")))
tell("version id", lambda: blob_name(hf_hub_download(LORA, WEIGHTS, revision=sys.argv[1])))
tell("alias", lambda: blob_name(hf_hub_download(LORA, "model.safetensors", cache_dir="alias")))
tell("snapshot", lambda: sizes(snapshot_download(LORA)))
tell("patterns", lambda: sorted(sizes(snapshot_download(PICKLE, allow_patterns=["*.safetensors"], local_dir="here"))))
tell("non-ASCII", lambda: blob_name(hf_hub_download(UNICODE, "ランタン é.safetensors")))

info = api.model_info(LORA, files_metadata=True, securityStatus=True)
told["info"] = [info.id, info.author, info.private, info.pipeline_tag, info.library_name, info.card_data["base_model"]]
told["siblings"] = [[row.rfilename, row.size] for row in info.siblings]
told["sha"] = info.sha
tell("files", lambda: api.list_repo_files(LORA))
tell("tree", lambda: [[row.path, row.size, row.security.status] for row in api.list_repo_tree(LORA, expand=True)])
tell("paths", lambda: [row.path for row in api.get_paths_info(LORA, [WEIGHTS, "none"])])
tell("exists", lambda: [api.file_exists(LORA, WEIGHTS), api.file_exists(LORA, "none"), api.file_exists("ada/none", WEIGHTS)])
tell("refs", lambda: [branch.name for branch in api.list_repo_refs(LORA).branches])
tell("commits", lambda: [commit.commit_id for commit in api.list_repo_commits(LORA)])
tell("list", lambda: sorted(model.id for model in api.list_models(author="ada", full=True)))
tell("search", lambda: [model.id for model in api.list_models(search="rice paper")])
tell("filter", lambda: sorted(model.id for model in anonymous.list_models(filter=["lora", "diffusers"], sort="downloads", author="ada")))
tell("pages", lambda: len({model.id for model in anonymous.list_models(author="ada", full=True, limit=2)}))
tell("who", lambda: api.whoami()["name"])
tell("auth", lambda: api.auth_check(LORA))
tell("safetensors", lambda: api.get_safetensors_metadata(LORA).sharded)
tell("header", lambda: len(parse_safetensors_file_metadata(LORA, WEIGHTS).tensors))

tell("private", lambda: blob_name(hf_hub_download(PRIVATE, "mine.safetensors")))
tell("private to others", lambda: hf_hub_download(PRIVATE, "mine.safetensors", token=False, cache_dir="other"))
tell("private info", lambda: anonymous.model_info(PRIVATE))
tell("none", lambda: anonymous.model_info("ada/none-at-all"))
tell("sealed", lambda: hf_hub_download(SEALED, "poisoned.ckpt"))
tell("no such file", lambda: hf_hub_download(LORA, "none.safetensors"))
tell("no such revision", lambda: hf_hub_download(LORA, WEIGHTS, revision="v9"))
tell("bad token", lambda: HfApi(token="hf_none").whoami())
tell("no auth", lambda: anonymous.auth_check(PRIVATE))
print(json.dumps(told))

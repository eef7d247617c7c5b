"""Run by an unmodified huggingface_hub, old or new: makes a repository, pushes files in each way that there is, and tells what it sees."""

import json
import sys
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

repo, weights = sys.argv[1:3]
api = HfApi()
told = {"url": str(api.create_repo(repo, private=True)), "again": str(api.create_repo(repo, exist_ok=True))}
told["first"] = api.upload_file(path_or_fileobj=weights, path_in_repo="lantern.safetensors", repo_id=repo).oid
card = b"---\nlicense: mit\ntags: [pushed]\ninstance_prompt: lantern\n---\nWarm light.\n"
told["second"] = api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=repo, commit_message="A card").oid
folder = Path("folder")
(folder / "notes").mkdir(parents=True)
(folder / "notes" / "ä.txt").write_text("grüße")
api.upload_folder(folder_path=folder, repo_id=repo, commit_message="Notes")
told["files"] = sorted(api.list_repo_files(repo))
told["titles"] = [commit.title for commit in api.list_repo_commits(repo)]
api.create_branch(repo, branch="v2")
told["branches"] = sorted(branch.name for branch in api.list_repo_refs(repo).branches)
api.delete_file("notes/ä.txt", repo_id=repo)
told["after"] = sorted(api.list_repo_files(repo))
try:
    api.upload_file(path_or_fileobj=b"\x80\x02}q\x00.", path_in_repo="lie.safetensors", repo_id=repo)
except HfHubHTTPError as error:
    told["lie"] = str(error)
print(json.dumps(told))

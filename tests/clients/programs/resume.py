"""Run by an unmodified huggingface_hub: fetches one file over a line that is cut once, and tells its SHA-256."""

import hashlib
import sys
from pathlib import Path

from huggingface_hub import hf_hub_download

print(hashlib.sha256(Path(hf_hub_download(sys.argv[1], sys.argv[2])).read_bytes()).hexdigest())

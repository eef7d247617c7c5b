"""ComfyUI's words: the graph that ran, as JSON under "prompt" (node id -> {"class_type", "inputs"}), and the editor's "workflow" beside it.

An input is a value or a link [node id, output]. Names of inputs decide, not the thousand classes of nodes: whoever samples has `steps`
or `sampler_name`, whoever loads has `ckpt_name`, `lora_name`... Every walk is bounded. A workflow without its graph is kept and not told.
"""

from __future__ import annotations

import re
from typing import Any

from hub.imagemeta import a1111, guarded
from hub.imagemeta.meta import MAX_PROMPT, ImageMeta, add, clean, number, put, unknown

MAX_NODES = 5_000
MAX_STEPS = 2_000
"""Nodes that one walk visits."""
MAX_INPUTS = 60
"""Inputs of one node in which loaded files are looked for."""

LOADED = {
    "ckpt_name": "model",
    "unet_name": "model",
    "base_ckpt_name": "model",
    "refiner_ckpt_name": "refiner",
    "vae_name": "vae",
    "lora_name": "lora",
    "hypernetwork_name": "hypernetwork",
    "control_net_name": "controlnet",
    "controlnet_name": "controlnet",
    "clip_name": "text encoder",
    "clip_name1": "text encoder",
    "clip_name2": "text encoder",
    "clip_name3": "text encoder",
    "style_model_name": "other",
    "model_name": "upscaler",
}
"""Input -> what it names. `model_name` is UpscaleModelLoader's."""
STRENGTHS = ("strength_model", "lora_wt", "model_strength", "strength")
TEXTS = (
    "text",
    "text_g",
    "text_l",
    "clip_l",
    "clip_g",
    "t5xxl",
    "llama",
    "prompt",
    "string",
    "value",
    "populated_text",
    "wildcard_text",
    "result",
)
ASIDE = frozenset(
    {"clip", "model", "vae", "control_net", "image", "pixels", "samples", "latent", "latent_image", "mask", "seed", "noise_seed"}
)
"""Links that lead away from a prompt."""
_EMBEDDING = re.compile(r"embedding:([^\s,:()<>\[\]]{1,200})")
_PLAIN = frozenset({"SaveImage", "PreviewImage", "VAEDecode", "VAEDecodeTiled", "SaveImageWebsocket", "Note", "MarkdownNote", "Reroute"})


def read(texts: dict[str, str]) -> tuple[ImageMeta, frozenset[str]] | None:
    prompt, workflow = guarded.loads(texts.get("prompt", "")), guarded.loads(texts.get("workflow", ""))
    nodes = _nodes(prompt)
    if not nodes and not (isinstance(workflow, dict) and isinstance(workflow.get("nodes"), list)):
        return None
    meta = ImageMeta(tool="ComfyUI", workflow=texts["workflow"] if isinstance(workflow, dict) else texts.get("prompt"))
    _Graph(nodes, meta).tell()
    if not nodes:
        unknown(meta, "workflow")
    if "prompt" in texts and not nodes:
        unknown(meta, "prompt")
    return meta, frozenset({"prompt", "workflow"} & set(texts))


def _nodes(prompt: Any) -> dict[str, dict[str, Any]]:
    """Node id -> {"class_type", "inputs"} of those that have both."""
    if not isinstance(prompt, dict):
        return {}
    rows = list(prompt.items())[:MAX_NODES]
    return {
        key: row
        for key, row in rows
        if isinstance(row, dict) and isinstance(row.get("inputs"), dict) and isinstance(row.get("class_type"), str)
    }


class _Graph:
    """One reading of one graph; `seen` are the nodes that were understood."""

    def __init__(self, nodes: dict[str, dict[str, Any]], meta: ImageMeta) -> None:
        self.nodes, self.meta = nodes, meta
        self.seen: set[str] = set()

    def tell(self) -> None:
        self.loaders()
        samplers = [key for key, node in self.nodes.items() if _samples(node["inputs"])]
        if samplers:
            main = max(samplers, key=lambda key: number(self.nodes[key]["inputs"].get("denoise", 1)) or 0)  # the first of the strongest
            self.sampler(main)
            for key in samplers:
                if key != main:
                    self.seen.add(key)
                    unknown(self.meta, f"{self.nodes[key]['class_type']} {key}")
        self.words()
        for key, node in self.nodes.items():
            if key not in self.seen and node["class_type"] not in _PLAIN:
                unknown(self.meta, node["class_type"])

    def sampler(self, key: str) -> None:
        """Settings and prompts of the node that samples, and of those that it is plugged together from."""
        self.seen.add(key)
        inputs = self.nodes[key]["inputs"]
        parts = [inputs, *(self.inputs(inputs.get(name)) for name in ("noise", "guider", "sampler", "sigmas"))]
        for label, names in (
            ("Steps", ("steps",)),
            ("Sampler", ("sampler_name",)),
            ("Schedule type", ("scheduler",)),
            ("CFG scale", ("cfg",)),
            ("Seed", ("seed", "noise_seed")),
            ("Denoising strength", ("denoise",)),
        ):
            put(
                self.meta,
                label,
                next((value for part in parts for name in names if (value := self.plain(part.get(name))) is not None), None),
            )
        if self.meta.settings.get("Denoising strength") in ("1", "1.0"):
            del self.meta.settings["Denoising strength"]
        self.size(inputs)
        guider = parts[2]
        self.meta.prompt = self.text(inputs.get("positive") or guider.get("positive") or guider.get("conditioning"), "positive")
        self.meta.negative_prompt = self.text(inputs.get("negative") or guider.get("negative"), "negative")

    def size(self, inputs: dict[str, Any]) -> None:
        latent = self.inputs(inputs.get("latent_image") or inputs.get("samples"))
        width, height = self.plain(latent.get("width")), self.plain(latent.get("height"))
        if isinstance(width, int) and isinstance(height, int):
            put(self.meta, "Size", f"{width}x{height}")

    def inputs(self, link: Any) -> dict[str, Any]:
        """The inputs of the node that a link leads to; {} for no link."""
        if isinstance(link, list) and len(link) == 2 and str(link[0]) in self.nodes:
            self.seen.add(str(link[0]))
            return dict(self.nodes[str(link[0])]["inputs"])
        return {}

    def plain(self, value: Any) -> Any:
        """A value, or the one that the node has which it is linked to (a number node, a seed node)."""
        for _ in range(8):
            if not isinstance(value, list):
                return value if isinstance(value, str | int | float) else None
            inputs = self.inputs(value)
            value = next(
                (
                    inputs[name]
                    for name in ("seed", "noise_seed", "value", "int", "float", "number", "sampler_name", "scheduler")
                    if name in inputs
                ),
                None,
            )
        return None

    def text(self, link: Any, side: str) -> str:
        """All words that flow into a conditioning, nearest first, each once."""
        if isinstance(link, str):
            return clean(link, MAX_PROMPT)
        found: list[str] = []
        waiting, visited = [link], set[str]()
        while waiting and len(visited) < MAX_STEPS:
            link = waiting.pop()
            key = str(link[0]) if isinstance(link, list) and link else ""
            if key in visited or key not in self.nodes or "ZeroOut" in self.nodes[key]["class_type"]:
                continue
            visited.add(key)
            waiting += reversed(self.follow(key, side, found))
        self.seen |= visited
        return clean(", ".join(dict.fromkeys(found)), MAX_PROMPT)

    def follow(self, key: str, side: str, found: list[str]) -> list[Any]:
        """Take the words of one node; returns the links that may lead to more."""
        inputs = self.nodes[key]["inputs"]
        other = "negative" if side == "positive" else "positive"
        for name, value in inputs.items():
            if isinstance(value, str) and (name in TEXTS or name == side) and value.strip():
                found.append(value.strip())
        return [value for name, value in inputs.items() if isinstance(value, list) and name not in ASIDE and name != other]

    def loaders(self) -> None:
        for key, node in list(self.nodes.items())[:MAX_STEPS]:
            inputs = dict(list(node["inputs"].items())[:MAX_INPUTS])
            strength = next((inputs[name] for name in STRENGTHS if isinstance(inputs.get(name), int | float)), None)
            for name, value in inputs.items():
                kind = LOADED.get(name)
                if kind and isinstance(value, str) and value.lower() not in ("", "none", "baked vae"):
                    self.seen.add(key)
                    add(self.meta, kind, value, "", strength if kind == "lora" else None)
                elif isinstance(value, dict) and isinstance(value.get("lora"), str) and value.get("on") is not False:
                    self.seen.add(key)  # one row of a node that loads several
                    add(self.meta, "lora", value["lora"], "", value.get("strength"))
            layer = inputs.get("stop_at_clip_layer")
            if isinstance(layer, int) and -24 <= layer < -1:
                self.seen.add(key)
                put(self.meta, "Clip skip", -layer)

    def words(self) -> None:
        """Embeddings and tags that the prompts call."""
        for text in (self.meta.prompt, self.meta.negative_prompt):
            for name in _EMBEDDING.findall(text)[:200]:
                add(self.meta, "embedding", name)
        a1111.tagged(self.meta)


def _samples(inputs: dict[str, Any]) -> bool:
    """Whether a node samples: it takes two prompts, or a guider, and something to start from."""
    prompts = isinstance(inputs.get("positive"), list | str) and "negative" in inputs
    return (prompts and ("steps" in inputs or "sigmas" in inputs or "sampler_name" in inputs)) or (
        "guider" in inputs and "sigmas" in inputs
    )

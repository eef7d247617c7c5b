"""The words of the Civitai API and which of ours they stand for. Tables only; spellings from the enums of civitai/civitai."""

from __future__ import annotations

from collections.abc import Iterable

from registry.models import CommercialUse, Kind, Rating, Status, Verdict

MODEL_TYPES = (
    "Checkpoint", "TextualInversion", "Hypernetwork", "AestheticGradient", "LORA", "LoCon", "DoRA", "Controlnet", "Upscaler",
    "MotionModule", "VAE", "TextEncoder", "UNet", "CLIPVision", "Poses", "Wildcards", "Workflows", "ComfyWorkflows", "Detection",
    "VisionLanguage", "CLIP", "LLM", "Other",
)  # fmt: skip
TYPE_OF_KIND = {
    Kind.CHECKPOINT: "Checkpoint",
    Kind.LORA: "LORA",
    Kind.EMBEDDING: "TextualInversion",
    Kind.HYPERNETWORK: "Hypernetwork",
    Kind.VAE: "VAE",
    Kind.CONTROLNET: "Controlnet",
    Kind.UPSCALER: "Upscaler",
    Kind.OTHER: "Other",
}
KIND_OF_TYPE = {name: kind for kind, name in TYPE_OF_KIND.items()}
TYPE_OF_FLAVOUR = {"LoCon": "LoCon", "LoHa": "LoCon", "LoKr": "LoCon", "OFT": "LoCon", "GLoRA": "LoCon", "IA3": "LoCon", "DoRA": "DoRA"}
"""Flavours of `registry.identify` that Civitai files under a type of their own; LoCon is its name for everything LyCORIS."""

FILE_TYPES = (
    "Model", "Text Encoder", "Vision Encoder", "Pruned Model", "Negative", "Training Data", "VAE", "Config", "Archive", "UNet",
    "Diffusion Model", "CLIPVision", "ControlNet", "Workflow", "Upscaler", "Enhancement LoRA", "Other",
)  # fmt: skip
FORMATS = ("SafeTensor", "PickleTensor", "GGUF", "Diffusers", "Core ML", "ONNX", "Other")
SIZES = ("full", "pruned")
SAFETENSOR, PICKLE = "SafeTensor", "PickleTensor"
FORMAT_OF_CONTAINER = {
    "safetensors": SAFETENSOR,
    "torch-zip": PICKLE,
    "torch-legacy": PICKLE,
    "torch-tar": PICKLE,
    "pickle": PICKLE,
    "gguf": "GGUF",
    "onnx": "ONNX",
}
CONTAINERS_OF_FORMAT = {wanted: [c for c, name in FORMAT_OF_CONTAINER.items() if name == wanted] for wanted in FORMATS}
PRECISIONS = ("fp32", "fp16", "bf16", "fp8")

SORTS = ("Highest Rated", "Most Downloaded", "Most Liked", "Most Discussed", "Most Collected", "Most Images", "Newest", "Oldest")
PERIOD_DAYS = {"Day": 1, "Week": 7, "Month": 30, "Year": 365, "AllTime": None}
PERIOD_MODES = ("published", "stats")
AVAILABILITIES = ("Public", "Unsearchable", "Private", "EarlyAccess")
COMMERCIAL_USES = ("None", *CommercialUse.values)
CHECKPOINT_TYPES = ("Trained", "Merge")

STATUS_NAMES = {Status.DRAFT: "Draft", Status.PUBLISHED: "Published", Status.WITHDRAWN: "Unpublished"}
SCAN_RESULTS = {
    Verdict.PENDING: "Pending",
    Verdict.SUCCESS: "Success",
    Verdict.SUSPICIOUS: "Danger",
    Verdict.DANGER: "Danger",
    Verdict.ERROR: "Error",
}
NSFW_FROM = Rating.R
"""From this rating on the old yes-or-no flag `nsfw` is true."""


def canonical(given: str, allowed: Iterable[str]) -> str | None:
    """The spelling in `allowed` that equals `given` without regard to case; None where there is none."""
    return next((name for name in allowed if name.lower() == given.lower()), None)


def model_type(kind: str, flavours: Iterable[str]) -> str:
    """ModelType of an entry: by its kind, and for LoRAs by the most particular flavour that was found in its files."""
    if kind != Kind.LORA:
        return TYPE_OF_KIND[Kind(kind)]
    found = {TYPE_OF_FLAVOUR.get(flavour, "LORA") for flavour in flavours}
    return next((name for name in ("DoRA", "LoCon") if name in found), "LORA")


def commercial_use(values: Iterable[str]) -> str:
    """The set as the site sends it, a PostgreSQL array literal: `{Image,RentCivit}`."""
    return "{" + ",".join(values) + "}"

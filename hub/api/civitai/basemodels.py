"""The base models that the Civitai API knows by name, and the ecosystem of each: tables, from civitai/civitai's basemodel constants.

The hub takes any base model that a creator names; this says only what programs are offered to choose from, and what an AIR calls it.
"""

from __future__ import annotations

OTHER = "other"
ECOSYSTEMS: dict[str, tuple[str, ...]] = {
    "sd1": ("SD 1.4", "SD 1.5", "SD 1.5 LCM", "SD 1.5 Hyper"),
    "sd2": ("SD 2.0", "SD 2.0 768", "SD 2.1", "SD 2.1 768", "SD 2.1 Unclip"),
    "sd3": ("SD 3", "SD 3.5", "SD 3.5 Large", "SD 3.5 Large Turbo"),
    "sd3_5m": ("SD 3.5 Medium",),
    "sdxl": (
        "SDXL 0.9", "SDXL 1.0", "SDXL 1.0 LCM", "SDXL Turbo", "SDXL Lightning", "SDXL Hyper", "Pony", "Illustrious", "NoobAI",
    ),
    "sdxldistilled": ("SDXL Distilled",),
    "flux1": ("Flux.1 S", "Flux.1 D"),
    "fluxkrea": ("Flux.1 Krea",),
    "flux1kontext": ("Flux.1 Kontext",),
    "flux2": ("Flux.2 D", "Flux.2 Klein 9B", "Flux.2 Klein 9B-base", "Flux.2 Klein 4B", "Flux.2 Klein 4B-base"),
    "flux3video": ("Flux 3 Video",),
    "ace": ("ACE Audio",),
    "anima": ("Anima",),
    "auraflow": ("AuraFlow", "Pony V7"),
    "boogu": ("Boogu",),
    "chroma": ("Chroma",),
    "cogvideox": ("CogVideoX",),
    "ernie": ("Ernie",),
    "grok": ("Grok",),
    "happyhorse": ("HappyHorse",),
    "hidream": ("HiDream",),
    "hidream-o1": ("HiDream-O1",),
    "hunyuan3d": ("Hunyuan3D",),
    "hydit1": ("Hunyuan 1",),
    "hyv1": ("Hunyuan Video",),
    "ideogram": ("Ideogram 4.0",),
    "imagen4": ("Imagen4",),
    "kling": ("Kling",),
    "kolors": ("Kolors",),
    "krea2": ("Krea 2",),
    "lens": ("Lens",),
    "ltxv": ("LTXV",),
    "ltxv2": ("LTXV2",),
    "ltxv23": ("LTXV 2.3",),
    "lumina": ("Lumina",),
    "mageflow": ("MageFlow",),
    "mai": ("MAI",),
    "minimaxh3": ("MiniMax H3",),
    "mochi": ("Mochi",),
    "nanobanana": ("Nano Banana",),
    "odor": ("ODOR",),
    "openai": ("OpenAI",),
    "pixarta": ("PixArt a",),
    "pixarte": ("PixArt E",),
    "playgroundv2": ("Playground v2",),
    "polygen": ("PolyGen",),
    "qwen": ("Qwen",),
    "qwen2": ("Qwen 2",),
    "qwen3": ("Qwen 3",),
    "reve": ("Reve",),
    "scascade": ("Stable Cascade",),
    "seedance": ("Seedance",),
    "seedream": ("Seedream",),
    "sora2": ("Sora 2",),
    "svd": ("SVD", "SVD XT"),
    "tripo": ("Tripo",),
    "veo3": ("Veo 3",),
    "vidu": ("Vidu Q1",),
    "wanimage27": ("Wan Image 2.7",),
    "wanvideo": ("Wan Video",),
    "wanvideo1_3b_t2v": ("Wan Video 1.3B t2v",),
    "wanvideo14b_t2v": ("Wan Video 14B t2v",),
    "wanvideo14b_i2v_480p": ("Wan Video 14B i2v 480p",),
    "wanvideo14b_i2v_720p": ("Wan Video 14B i2v 720p",),
    "wanvideo-22-ti2v-5b": ("Wan Video 2.2 TI2V-5B",),
    "wanvideo-22-i2v-a14b": ("Wan Video 2.2 I2V-A14B",),
    "wanvideo-22-t2v-a14b": ("Wan Video 2.2 T2V-A14B",),
    "wanvideo-25-t2v": ("Wan Video 2.5 T2V",),
    "wanvideo-25-i2v": ("Wan Video 2.5 I2V",),
    "wanvideo27": ("Wan Video 2.7",),
    "zimagebase": ("ZImageBase",),
    "zimageturbo": ("ZImageTurbo",),
    OTHER: ("Upscaler", "Other"),
}  # fmt: skip
"""Root ecosystem, in the spelling of an AIR -> its base models. Descendants (Pony, Klein) stand with what they descend from."""

HIDDEN = frozenset({
    "Imagen4", "Nano Banana", "ODOR", "OpenAI", "Playground v2", "Stable Cascade", "SD 2.0 768", "SD 2.1 768", "SD 2.1 Unclip", "SD 3",
    "SD 3.5", "SD 3.5 Large", "SD 3.5 Large Turbo", "SD 3.5 Medium", "SDXL 0.9", "SDXL 1.0 LCM", "SDXL Turbo", "SDXL Distilled",
    "Seedream", "SVD", "SVD XT", "Sora 2", "Veo 3", "Wan Video", "Vidu Q1", "Kling", "Seedance", "PolyGen", "Tripo", "Hunyuan3D",
})  # fmt: skip
"""What the site no longer offers for new uploads; models of it are still there."""

ALL = tuple(sorted((name for names in ECOSYSTEMS.values() for name in names), key=str.casefold))
ACTIVE = tuple(name for name in ALL if name not in HIDDEN)

_ECOSYSTEM_OF = {name.casefold(): ecosystem for ecosystem, names in ECOSYSTEMS.items() for name in names}
_SPELLING = {name.casefold(): name for name in ALL}


def ecosystem_of(base_model: str) -> str:
    """The root ecosystem of a base model, in any case; "other" for one that nobody has listed."""
    return _ECOSYSTEM_OF.get(base_model.strip().casefold(), OTHER)


def spelled(base_model: str) -> str:
    """As the site spells it; as given where it has no such base model."""
    return _SPELLING.get(base_model.casefold(), base_model)

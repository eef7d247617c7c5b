"""In which folder each program looks for each kind of file. A table from their sources; what is run or pasted there is `usage.py`'s."""

from __future__ import annotations

FOLDERS: dict[str, dict[str, str]] = {
    "a1111": {
        "checkpoint": "models/Stable-diffusion",
        "lora": "models/Lora",
        "embedding": "embeddings",
        "hypernetwork": "models/hypernetworks",
        "vae": "models/VAE",
        "controlnet": "models/ControlNet",
        "upscaler": "models/ESRGAN",
    },
    "forge": {
        "checkpoint": "models/Stable-diffusion",
        "lora": "models/Lora",
        "embedding": "embeddings",
        "hypernetwork": "models/hypernetworks",
        "vae": "models/VAE",
        "controlnet": "models/ControlNet",
        "upscaler": "models/ESRGAN",
        "text_encoder": "models/text_encoder",
        "unet": "models/Stable-diffusion",
    },
    "comfyui": {
        "checkpoint": "models/checkpoints",
        "lora": "models/loras",
        "embedding": "models/embeddings",
        "hypernetwork": "models/hypernetworks",
        "vae": "models/vae",
        "controlnet": "models/controlnet",
        "upscaler": "models/upscale_models",
        "text_encoder": "models/text_encoders",
        "unet": "models/diffusion_models",
    },
    "invokeai": {},
    "swarmui": {
        "checkpoint": "Models/Stable-Diffusion",
        "lora": "Models/Lora",
        "embedding": "Models/Embeddings",
        "vae": "Models/VAE",
        "controlnet": "Models/controlnet",
        "text_encoder": "Models/text_encoders",
        "unet": "Models/diffusion_models",
    },
    "fooocus": {
        "checkpoint": "models/checkpoints",
        "lora": "models/loras",
        "embedding": "models/embeddings",
        "vae": "models/vae",
        "controlnet": "models/controlnet",
        "upscaler": "models/upscale_models",
    },
    "stabilitymatrix": {
        "checkpoint": "Models/StableDiffusion",
        "lora": "Models/Lora",
        "embedding": "Models/Embeddings",
        "hypernetwork": "Models/Hypernetwork",
        "vae": "Models/VAE",
        "controlnet": "Models/ControlNet",
        "upscaler": "Models/ESRGAN",
        "text_encoder": "Models/TextEncoders",
        "unet": "Models/DiffusionModels",
    },
}
"""Program -> kind -> folder below the program's own; no entry where it has none. InvokeAI keeps files itself.

Sources: A1111 and ComfyUI as ComfyUI's `extra_model_paths.yaml.example` names them. Fooocus: `modules/config.py`, its calls of
`get_dir_or_set_default`, where hypernetworks, text encoders and diffusion models alone have none. SwarmUI: `Core/Settings.cs`
(`SDModelFolder` and its neighbours; text encoders lay in `clip` before). Stability Matrix: `SharedFolderType.cs`, whose members are the
folders' names. Forge: its own `models/text_encoder`; diffusion models alone lie beside the checkpoints, where Stability Matrix' package
for Forge links them, too.
"""

ROOTS = {
    "a1111": "stable-diffusion-webui",
    "forge": "stable-diffusion-webui-forge",
    "comfyui": "ComfyUI",
    "swarmui": "SwarmUI",
    "fooocus": "Fooocus",
    "stabilitymatrix": "Data",
}
"""What a program's own folder is called unless its owner renamed it; of Stability Matrix where it is portable."""

NAMES = {
    "a1111": "A1111",
    "forge": "Forge",
    "comfyui": "ComfyUI",
    "invokeai": "InvokeAI",
    "swarmui": "SwarmUI",
    "fooocus": "Fooocus",
    "stabilitymatrix": "Stability Matrix",
}
"""As people write them, in the order of the tabs."""


def folder(program: str, kind: str) -> str:
    """Below the program's own folder; "" where the program has none for this kind."""
    return FOLDERS[program].get(kind, "")

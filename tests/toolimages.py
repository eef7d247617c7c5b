"""Small images with the texts that each tool writes, laid out as it lays them out. The words are ours, the layouts theirs."""

from __future__ import annotations

import io
import json
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

CHECKPOINT = "31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b"
LORA = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

A1111 = """a lighthouse at dusk, (oil painting:1.2), <lora:harbour:0.7>
Negative prompt: blurry, low quality
Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 1234567890, Size: 512x768, Model hash: 31e35c80fc, \
Model: seaside_v2, VAE hash: c6a580b13a, VAE: soft.vae.pt, Denoising strength: 0.45, Clip skip: 2, \
Lora hashes: "harbour: 0123456789ab", TI hashes: "salty: fedcba987654", Version: v1.10.1"""
FORGE = A1111.replace("Version: v1.10.1", "Version: f2.0.1v1.10.1-previous-605-g05b01da0")
CIVITAI = """a paper boat
Negative prompt: noise
Steps: 25, Sampler: Euler a, CFG scale: 5, Seed: 9, Size: 832x1216, Clip skip: 2, Created Date: 2025-01-01T00:00:00.0000000Z, \
Civitai resources: [{"type":"checkpoint","modelVersionId":290640,"modelName":"Boat XL","modelVersionName":"v6"},\
{"type":"lora","weight":0.8,"modelVersionId":135867,"modelName":"Paper","modelVersionName":"v1"}], Civitai metadata: {}"""

GRAPH: dict[str, Any] = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 156680208700286, "steps": 20, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
            "model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd\\seaside_v2.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 640, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["12", 0], "clip": ["11", 0]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "text, watermark, embedding:salty", "clip": ["11", 0]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
    "10": {
        "class_type": "LoraLoader",
        "inputs": {"lora_name": "harbour.safetensors", "strength_model": 0.6, "strength_clip": 1.0, "model": ["4", 0], "clip": ["4", 1]},
    },
    "11": {"class_type": "CLIPSetLastLayer", "inputs": {"stop_at_clip_layer": -2, "clip": ["10", 1]}},
    "12": {"class_type": "PrimitiveString", "inputs": {"value": "a lighthouse at dusk"}},
    "13": {"class_type": "FaceDetailerMystery", "inputs": {"image": ["8", 0], "strange": 3}},
}  # fmt: skip
WORKFLOW: dict[str, Any] = {"last_node_id": 13, "nodes": [{"id": 3, "type": "KSampler"}], "links": [], "version": 0.4}
CUSTOM_GRAPH: dict[str, Any] = {
    "1": {
        "class_type": "SamplerCustomAdvanced",
        "inputs": {"noise": ["2", 0], "guider": ["3", 0], "sampler": ["4", 0], "sigmas": ["5", 0], "latent_image": ["6", 0]},
    },
    "2": {"class_type": "RandomNoise", "inputs": {"noise_seed": 42}},
    "3": {"class_type": "BasicGuider", "inputs": {"model": ["8", 0], "conditioning": ["7", 0]}},
    "4": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
    "5": {"class_type": "BasicScheduler", "inputs": {"scheduler": "simple", "steps": 24, "denoise": 1.0, "model": ["8", 0]}},
    "6": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1024, "height": 768, "batch_size": 1}},
    "7": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["9", 0]}},
    "8": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors", "weight_dtype": "default"}},
    "9": {"class_type": "CLIPTextEncode", "inputs": {"text": "a tin robot", "clip": ["10", 0]}},
    "10": {
        "class_type": "DualCLIPLoader",
        "inputs": {"clip_name1": "clip_l.safetensors", "clip_name2": "t5xxl_fp16.safetensors", "type": "flux"},
    },
}

INVOKE_5 = {
    "generation_mode": "sdxl_txt2img",
    "positive_prompt": "a lighthouse at dusk",
    "negative_prompt": "blurry",
    "width": 1024, "height": 768, "seed": 77, "rand_device": "cpu", "cfg_scale": 5.5, "cfg_rescale_multiplier": 0, "steps": 30,
    "scheduler": "dpmpp_2m_k",
    "model": {"key": "5f", "hash": f"sha256:{CHECKPOINT}", "name": "Seaside", "base": "sdxl", "type": "main"},
    "loras": [{"model": {"key": "6a", "hash": f"blake3:{LORA}", "name": "Harbour", "base": "sdxl", "type": "lora"}, "weight": 0.75}],
    "regions": [{"odd": 1}],
    "app_version": "5.6.0",
}  # fmt: skip
INVOKE_3 = {
    "positive_prompt": "a lighthouse",
    "negative_prompt": "",
    "width": 512, "height": 512, "seed": 3, "cfg_scale": 7.5, "steps": 50, "scheduler": "euler",
    "model": {"model_name": "stable-diffusion-v1-5", "base_model": "sd-1", "model_type": "main"},
    "loras": [{"lora": {"model_name": "harbour", "base_model": "sd-1"}, "weight": 0.5}],
    "app_version": "3.6.2",
}  # fmt: skip
INVOKE_2 = {
    "model": "stable diffusion",
    "model_weights": "stable-diffusion-1.5",
    "model_hash": CHECKPOINT,
    "app_id": "invoke-ai/InvokeAI",
    "app_version": "2.3.0",
    "image": {
        "prompt": [{"prompt": "a lighthouse [blurry]", "weight": 1.0}],
        "steps": 50, "cfg_scale": 7.5, "threshold": 0, "perlin": 0, "height": 512, "width": 640, "seed": 11, "seamless": False,
        "type": "txt2img", "sampler": "k_lms",
    },
}  # fmt: skip
DREAM = '"a lighthouse [blurry]" -s 50 -S 11 -W 640 -H 512 -C 7.5 -A k_lms'

SWARM = {
    "sui_image_params": {
        "prompt": "a lighthouse at dusk<lora:harbour:0.5>", "negativeprompt": "blurry", "model": "sd/seaside_v2.safetensors",
        "seed": 99, "steps": 20, "cfgscale": 7.0, "aspectratio": "1:1", "width": 1024, "height": 1024, "sampler": "euler",
        "scheduler": "normal", "clipstopatlayer": "-2", "loras": ["harbour"], "loraweights": ["0.5"], "swarm_version": "0.9.5.0",
    },
    "sui_extra_data": {"date": "2025-01-25", "generation_time": "4.84 sec"},
    "sui_models": [
        {"name": "sd/seaside_v2.safetensors", "param": "model", "hash": f"0x{CHECKPOINT}"},
        {"name": "harbour.safetensors", "param": "loras", "hash": f"0x{LORA}"},
    ],
}  # fmt: skip

FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "juggernautXL_v8", "base_model_hash": "aeb7e9e689",
    "full_negative_prompt": ["x"], "full_prompt": ["y"], "guidance_scale": 4,
    "lora_combined_1": "offset : 0.1", "loras": [["offset", 0.1, "4852686128"]], "metadata_scheme": "fooocus",
    "negative_prompt": "", "performance": "Speed", "prompt": "a lighthouse at dusk", "prompt_expansion": "", "refiner_model": "None",
    "refiner_switch": 0.5, "resolution": "(896, 1152)", "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras",
    "seed": "127589946317439009", "sharpness": 2, "steps": 30, "styles": "['Fooocus V2']", "vae": "Default (model)",
    "version": "Fooocus v2.5.5",
}  # fmt: skip

NOVELAI = {
    "Title": "NovelAI generated image",
    "Description": "a lighthouse at dusk",
    "Software": "NovelAI",
    "Source": "NovelAI Diffusion V4 37442FCA",
    "Comment": json.dumps(
        {"prompt": "a lighthouse at dusk", "steps": 28, "height": 1216, "width": 832, "scale": 6.0, "seed": 5, "noise": 0.0,
         "sampler": "k_euler_ancestral", "uc": "blurry", "v4_prompt": {"caption": {}}}
    ),
}  # fmt: skip


def picture(size: tuple[int, int] = (48, 32)) -> Image.Image:
    image = Image.new("RGB", size, (198, 154, 60))
    image.paste((24, 60, 52), (0, 0, size[0] // 2, size[1] // 2))
    return image


def png(texts: dict[str, str], *, packed: bool = False, size: tuple[int, int] = (48, 32)) -> bytes:
    info, out = PngInfo(), io.BytesIO()
    for name, text in texts.items():
        info.add_text(name, text, zip=packed)
    picture(size).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def with_comment(kind: str, comment: bytes | str, *, make: str = "", model: str = "") -> bytes:
    """A JPEG or WebP with this UserComment (its eight bytes of character code included), and "Make" and "Model"."""
    out, block = io.BytesIO(), Image.Exif()
    if comment:
        block.get_ifd(0x8769)[0x9286] = comment
    if make:
        block[0x010F] = make
    if model:
        block[0x0110] = model
    picture().save(out, kind, exif=block.tobytes())
    return out.getvalue()


def unicode_comment(text: str) -> bytes:
    """As piexif writes it for webui."""
    return b"UNICODE\0" + text.encode("utf-16-be")


def images() -> dict[str, bytes]:
    """Name -> image of each tool in each of its forms."""
    graph, workflow = json.dumps(GRAPH), json.dumps(WORKFLOW)
    return {
        "a1111.png": png({"parameters": A1111}),
        "a1111-itxt.png": png({"parameters": A1111 + ", Hub: 灯"}),
        "a1111-ztxt.png": png({"parameters": A1111}, packed=True),
        "a1111.jpg": with_comment("JPEG", unicode_comment(A1111)),
        "a1111.webp": with_comment("WEBP", unicode_comment(A1111)),
        "forge.png": png({"parameters": FORGE}),
        "civitai.jpg": with_comment("JPEG", unicode_comment(CIVITAI)),
        "comfyui.png": png({"prompt": graph, "workflow": workflow}),
        "comfyui.webp": with_comment("WEBP", b"", make=f"workflow:{workflow}", model=f"prompt:{graph}"),
        "comfyui-custom.png": png({"prompt": json.dumps(CUSTOM_GRAPH)}),
        "invokeai-5.png": png({"invokeai_metadata": json.dumps(INVOKE_5), "invokeai_graph": "{}"}),
        "invokeai-3.png": png({"invokeai_metadata": json.dumps(INVOKE_3)}),
        "invokeai-2.png": png({"sd-metadata": json.dumps(INVOKE_2), "Dream": DREAM}),
        "invokeai-1.png": png({"Dream": DREAM}),
        "swarmui.png": png({"parameters": json.dumps(SWARM, indent=2)}),
        "swarmui.jpg": with_comment("JPEG", unicode_comment(json.dumps(SWARM))),
        "fooocus.png": png({"parameters": json.dumps(FOOOCUS), "fooocus_scheme": "fooocus"}),
        "fooocus.jpg": with_comment("JPEG", b"ASCII\0\0\0" + json.dumps(FOOOCUS).encode()),
        "novelai.png": png(NOVELAI),
        "novelai.webp": with_comment("WEBP", unicode_comment(json.dumps(NOVELAI))),
    }

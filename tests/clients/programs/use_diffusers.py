"""Run by the project's own diffusers as a client of the hub: loads, adapts, pushes and loads again. Each step prints a line of JSON.

After pushing it waits for a line on its input, so that the hub can judge what it was given.
"""

import json
import sys
from pathlib import Path

import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders.single_file import _download_diffusers_model_config_from_hub
from diffusers.loaders.single_file_utils import DIFFUSERS_DEFAULT_PIPELINE_PATHS
from huggingface_hub import hf_hub_download
from transformers import AutoTokenizer, CLIPTextModel

torch.set_num_threads(1)
REPO, FILE = "bea/neon", "neon.safetensors"
ADDRESS = f"https://huggingface.co/{REPO}/blob/main/{FILE}"
ASKED = ("v1", "v2", "inpainting", "inpainting_v2", "xl_base", "xl_refiner", "xl_inpaint", "instruct-pix2pix")


def tell(step, value):
    print(json.dumps({step: value}), flush=True)


def picture(pipe, prompt="a red circle on blue"):
    """The mean of a small picture, by the same noise each time."""
    pipe.set_progress_bar_config(disable=True)
    made = pipe(prompt, num_inference_steps=3, width=64, height=64, generator=torch.manual_seed(3), output_type="np").images
    return round(float(made.mean()), 5)


pipe = StableDiffusionPipeline.from_single_file(ADDRESS, config=REPO, revision="v1")
tell("parts", sorted(name for name, part in pipe.components.items() if part is not None))
tell("width", pipe.unet.config.block_out_channels[0])
plain = picture(pipe)
tell("plain", plain)
local = StableDiffusionPipeline.from_single_file(hf_hub_download(REPO, FILE), config=REPO)
tell("local", picture(local))
tell("tokens", AutoTokenizer.from_pretrained(REPO, subfolder="tokenizer")("a photo of a cat").input_ids)

pipe.load_lora_weights("bea/sticker", weight_name="sticker.safetensors", revision="v1")
tell("lora", picture(pipe))
pipe.unload_lora_weights()
pipe.load_lora_weights("bea/sticker")
tell("lora unnamed", picture(pipe))
pipe.unload_lora_weights()
pipe.load_textual_inversion("bea/winterday", weight_name="winterday.safetensors", token="winterday")
tell("embedding", picture(pipe, "a red circle winterday"))
pipe.load_textual_inversion("bea/winterday", token="winterday2")
tell("embedding unnamed", picture(pipe, "a red circle winterday2"))

configs = {}
for kind in ASKED:
    asked = DIFFUSERS_DEFAULT_PIPELINE_PATHS[kind]["pretrained_model_name_or_path"]
    unet = UNet2DConditionModel.load_config(asked, subfolder="unet", revision="v1")
    configs[asked] = [DiffusionPipeline.load_config(asked)["_class_name"], unet["in_channels"]]
whole = _download_diffusers_model_config_from_hub("stabilityai/stable-diffusion-xl-base-1.0", cache_dir=None, revision="v1", proxies=None)
tell("whole", sorted(path.relative_to(whole).as_posix() for path in Path(whole).rglob("*") if path.is_file()))
tell("configs", configs)

tell("pushed", str(local.to(torch.float16).push_to_hub("bea/pushed", private=True)))
sys.stdin.readline()
back = DiffusionPipeline.from_pretrained("bea/pushed", torch_dtype=torch.float32)
tell("class", type(back).__name__)
tell("back", picture(back))
tell("transformers", CLIPTextModel.from_pretrained("bea/pushed", subfolder="text_encoder").config.hidden_size)

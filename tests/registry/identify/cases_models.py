"""Checkpoints and diffusion models alone, of every base family, in the spellings in which they are published."""

from __future__ import annotations

from collections.abc import Callable

from tests.registry.identify import transformers as T
from tests.registry.identify import unets as N
from tests.registry.identify.case import Case
from tests.registry.identify.tables import Keys, cast, f16, prefixed, table
from tests.registry.identify.unets import U


def sd1(**changes: int) -> Keys:
    return N.unet(N.SD1, U, **changes) | N.autoencoder() | N.clip_l("cond_stage_model.transformer.")


def _sd2(**changes: int) -> Keys:
    return N.unet(N.SD2, U, **changes) | N.autoencoder() | N.open_clip("cond_stage_model.model.", 1024, 23)


def _sdxl(shape: N.Shape = N.SDXL, **changes: int) -> Keys:
    text = N.clip_l("conditioner.embedders.0.transformer.") | N.open_clip("conditioner.embedders.1.model.", 1280, 32)
    return N.unet(shape, U, **changes) | N.autoencoder() | text


def _refiner() -> Keys:
    return N.unet(N.REFINER) | N.autoencoder() | N.open_clip("conditioner.embedders.0.model.", 1280, 32)


def _svd() -> Keys:
    stack = table("input_blocks.1.0.time_stack.emb_layers.1 320x1280 b\ninput_blocks.1.1.time_stack.0.attn1.to_q 320x320")
    return N.unet(N.SD2, channels=8, labels=768) | N.autoencoder() | prefixed(U, stack)


def _aio(model: Keys, latents: int = 16) -> Keys:
    """One file with everything, as ComfyUI and Forge take it."""
    text = N.clip_l("text_encoders.clip_l.transformer.")
    return prefixed(U, model) | N.autoencoder("vae.", latents) | text


MARK = f16({"v_pred": (0,), "ztsnr": (0,)})
EDM = f16({"edm_mean": (1, 4, 1, 1), "edm_std": (1, 4, 1, 1)})
XL_UNET = N.unet(N.SDXL)
KOLORS = table("encoder_hid_proj 2048x4096 b\nadd_embedding.linear_1 1280x5632 b")


def model(build: Callable[[], Keys], family: str, base: str, *variants: str, kind: str = "unet", precision: str = "fp16") -> Case:
    return Case(build, kind, family, base, "", variants, precision)


def whole(build: Callable[[], Keys], family: str, base: str, *variants: str, precision: str = "fp16") -> Case:
    return model(build, family, base, *variants, kind="checkpoint", precision=precision)


CHECKPOINTS: dict[str, Case] = {
    "SD 1": whole(sd1, "SD 1.x", "SD 1.5"),
    "SD 1, fp32": whole(lambda: cast(sd1(), "F32"), "SD 1.x", "SD 1.5", precision="fp32"),
    "SD 1, bf16": whole(lambda: cast(sd1(), "BF16"), "SD 1.x", "SD 1.5", precision="bf16"),
    "SD 1, fp8": whole(lambda: cast(sd1(), "F8_E4M3"), "SD 1.x", "SD 1.5", precision="fp8"),
    "SD 1 inpainting": whole(lambda: sd1(channels=9), "SD 1.x", "SD 1.5", "inpainting"),
    "SD 1 pix2pix": whole(lambda: sd1(channels=8), "SD 1.x", "SD 1.5", "pix2pix"),
    "SD 2": whole(_sd2, "SD 2.x", "SD 2.1"),
    "SD 2 inpainting": whole(lambda: _sd2(channels=9), "SD 2.x", "SD 2.1", "inpainting"),
    "SD 2 depth": whole(lambda: _sd2(channels=5), "SD 2.x", "SD 2.1", "depth"),
    "SD 2 unCLIP L": whole(lambda: _sd2(labels=1536), "SD 2.x unCLIP", "SD 2.1 Unclip"),
    "SD 2 unCLIP H": whole(lambda: _sd2(labels=2048), "SD 2.x unCLIP", "SD 2.1 Unclip"),
    "x4 upscaler": whole(lambda: N.unet(N.X4) | N.autoencoder(), "SD 2.x", "SD 2.1", "upscaling"),
    "SDXL": whole(_sdxl, "SDXL", "SDXL 1.0"),
    "SDXL, bf16": whole(lambda: cast(_sdxl(), "BF16"), "SDXL", "SDXL 1.0", precision="bf16"),
    "SDXL inpainting": whole(lambda: _sdxl(channels=9), "SDXL", "SDXL 1.0", "inpainting"),
    "SDXL pix2pix": whole(lambda: _sdxl(channels=8), "SDXL", "SDXL 1.0", "pix2pix"),
    "SDXL v-prediction": whole(lambda: _sdxl() | MARK, "SDXL", "SDXL 1.0", "v-prediction", "zero terminal SNR"),
    "SDXL refiner": whole(_refiner, "SDXL Refiner", "SDXL 1.0"),
    "Playground 2.5": whole(lambda: _sdxl() | EDM, "SDXL", "Playground v2"),
    "SSD-1B": whole(lambda: _sdxl(N.SSD_1B), "SDXL", "SDXL Distilled"),
    "Vega": whole(lambda: _sdxl(N.VEGA), "SDXL", "SDXL Distilled"),
    "KOALA 700M": whole(lambda: _sdxl(N.KOALA_700M), "SDXL", "SDXL Distilled"),
    "KOALA 1B": whole(lambda: _sdxl(N.KOALA_1B), "SDXL", "SDXL Distilled"),
    "SDXL of other widths": whole(lambda: _sdxl(N.TINY_XL), "SDXL", "SDXL 1.0"),
    "SVD": whole(_svd, "SVD", "SVD"),
    "Flux dev, all in one": whole(lambda: cast(_aio(T.FLUX_DEV), "F8_E4M3"), "Flux.1", "Flux.1 D", precision="fp8"),
    "SD 3, all in one": whole(lambda: _aio(T.SD3_MEDIUM), "SD 3", "SD 3"),
    "SD 3.5 Large, all in one": whole(lambda: _aio(T.SD35_LARGE), "SD 3.5", "SD 3.5 Large"),
    "LTX-Video, with its autoencoder": whole(
        lambda: prefixed(U, T.LTXV) | table("vae.decoder.conv_in.conv 512x128x3x3x3 b"), "LTX-Video", "LTXV"
    ),
    "AuraFlow under model.": whole(lambda: prefixed("model.", T.AURAFLOW) | N.autoencoder("vae."), "AuraFlow", "AuraFlow"),
}
ALONE: dict[str, Case] = {
    "SD 1 UNet": model(lambda: N.unet(N.SD1), "SD 1.x", "SD 1.5"),
    "SD 1 UNet, no prefix": model(lambda: N.unet(N.SD1, ""), "SD 1.x", "SD 1.5"),
    "SD 1 UNet, ComfyUI": model(lambda: N.unet(N.SD1, "diffusion_model."), "SD 1.x", "SD 1.5"),
    "SD 1 UNet, diffusers": model(lambda: N.diffusers(N.unet(N.SD1)), "SD 1.x", "SD 1.5"),
    "SD 1 inpainting UNet, diffusers": model(lambda: N.diffusers(N.unet(N.SD1, channels=9)), "SD 1.x", "SD 1.5", "inpainting"),
    "SD 2 UNet, diffusers": model(lambda: N.diffusers(N.unet(N.SD2)), "SD 2.x", "SD 2.1"),
    "SDXL UNet": model(lambda: N.unet(N.SDXL), "SDXL", "SDXL 1.0"),
    "SDXL UNet, diffusers": model(lambda: N.diffusers(N.unet(N.SDXL)), "SDXL", "SDXL 1.0"),
    "SDXL UNet, diffusers, prefixed": model(lambda: N.diffusers(N.unet(N.SDXL), to="unet."), "SDXL", "SDXL 1.0"),
    "SDXL refiner UNet, diffusers": model(lambda: N.diffusers(N.unet(N.REFINER)), "SDXL Refiner", "SDXL 1.0"),
    "SSD-1B UNet, diffusers": model(lambda: N.diffusers(N.unet(N.SSD_1B)), "SDXL", "SDXL Distilled"),
    "KOALA UNet, diffusers": model(lambda: N.diffusers(N.unet(N.KOALA_700M)), "SDXL", "SDXL Distilled"),
    "Kolors, diffusers": model(lambda: N.diffusers(N.unet(N.SDXL, labels=5632)) | KOLORS, "Kolors", "Kolors"),
    "Kolors": model(lambda: N.unet(N.SDXL, labels=5632), "Kolors", "Kolors"),
    "Flux dev": model(lambda: T.FLUX_DEV, "Flux.1", "Flux.1 D", precision="bf16"),
    "Flux schnell": model(lambda: T.FLUX_SCHNELL, "Flux.1", "Flux.1 S", precision="bf16"),
    "Flux fill": model(lambda: T.FLUX_FILL, "Flux.1", "Flux.1 D", "inpainting", precision="bf16"),
    "Flux canny": model(lambda: T.FLUX_CANNY, "Flux.1", "Flux.1 D", "canny or depth", precision="bf16"),
    "Flux dev, diffusers": model(lambda: T.FLUX_DIFFUSERS, "Flux.1", "Flux.1 D"),
    "Flux schnell, diffusers": model(lambda: T.SCHNELL_DIFFUSERS, "Flux.1", "Flux.1 S"),
    "Flux.2 dev": model(lambda: T.FLUX_2_DEV, "Flux.2", "Flux.2 D", precision="bf16"),
    "Flux.2 dev, diffusers": model(lambda: T.FLUX_2_DIFFUSERS, "Flux.2", "Flux.2 D"),
    "Flux.2 klein 9B": model(lambda: T.KLEIN_9B, "Flux.2", "Flux.2 Klein 9B", precision="bf16"),
    "Flux.2 klein 4B": model(lambda: T.KLEIN_4B, "Flux.2", "Flux.2 Klein 4B", precision="bf16"),
    "Chroma": model(lambda: T.CHROMA, "Chroma", "Chroma", precision="bf16"),
    "Chroma, diffusers": model(lambda: T.CHROMA_DIFFUSERS, "Chroma", "Chroma"),
    "SD 3": model(lambda: T.SD3_MEDIUM, "SD 3", "SD 3"),
    "SD 3, diffusers": model(lambda: T.SD3_DIFFUSERS, "SD 3", "SD 3"),
    "SD 3.5 Medium": model(lambda: T.SD35_MEDIUM, "SD 3.5", "SD 3.5 Medium"),
    "SD 3.5 Large": model(lambda: T.SD35_LARGE, "SD 3.5", "SD 3.5 Large"),
    "Hunyuan Video": model(lambda: T.HUNYUAN_VIDEO, "Hunyuan Video", "Hunyuan Video"),
    "Hunyuan Video i2v": model(lambda: T.HUNYUAN_VIDEO_I2V, "Hunyuan Video", "Hunyuan Video", "image to video"),
    "Hunyuan Video, diffusers": model(lambda: T.HUNYUAN_VIDEO_DIFFUSERS, "Hunyuan Video", "Hunyuan Video"),
    "Hunyuan Video 1.5": model(lambda: T.HUNYUAN_VIDEO_15, "Hunyuan Video", "Hunyuan Video"),
    "Hunyuan Image": model(lambda: T.HUNYUAN_IMAGE, "Hunyuan Image", ""),
    "Wan 1.3B": model(lambda: T.WAN_1B, "Wan Video", "Wan Video 1.3B t2v"),
    "Wan 14B": model(lambda: T.WAN_14B, "Wan Video", "Wan Video 14B t2v"),
    "Wan 14B, diffusers": model(lambda: T.WAN_DIFFUSERS, "Wan Video", "Wan Video 14B t2v"),
    "Wan 14B i2v": model(lambda: T.WAN_I2V, "Wan Video", "Wan Video 14B i2v 720p", "image to video"),
    "Wan 2.2 i2v": model(lambda: T.WAN_22_I2V, "Wan Video", "Wan Video 2.2 I2V-A14B", "image to video"),
    "Wan 2.2 5B": model(lambda: T.WAN_22_5B, "Wan Video", "Wan Video 2.2 TI2V-5B"),
    "Lumina 2": model(lambda: T.LUMINA, "Lumina", "Lumina"),
    "Lumina 2, diffusers": model(lambda: T.LUMINA_DIFFUSERS, "Lumina", "Lumina"),
    "Z-Image": model(lambda: T.Z_IMAGE, "Z-Image", "ZImageTurbo"),
    "Z-Image, diffusers": model(lambda: T.Z_IMAGE_DIFFUSERS, "Z-Image", "ZImageTurbo"),
    "OmniGen 1": model(lambda: T.OMNIGEN_1, "OmniGen", ""),
    "OmniGen 2": model(lambda: T.OMNIGEN_2, "OmniGen", ""),
    "Qwen-Image": model(lambda: T.QWEN, "Qwen", "Qwen"),
    "HiDream": model(lambda: T.HIDREAM, "HiDream", "HiDream"),
    "AuraFlow": model(lambda: T.AURAFLOW, "AuraFlow", "AuraFlow"),
    "AuraFlow, diffusers": model(lambda: T.AURAFLOW_DIFFUSERS, "AuraFlow", "AuraFlow"),
    "PixArt sigma": model(lambda: T.PIXART_SIGMA, "PixArt", "PixArt E"),
    "PixArt sigma, diffusers": model(lambda: T.PIXART_DIFFUSERS, "PixArt", "PixArt E"),
    "PixArt alpha": model(lambda: T.PIXART_ALPHA, "PixArt", "PixArt a"),
    "Sana": model(lambda: T.SANA, "Sana", ""),
    "Hunyuan-DiT": model(lambda: T.HUNYUAN_DIT, "Hunyuan-DiT", "Hunyuan 1"),
    "Hunyuan-DiT, diffusers": model(lambda: T.HUNYUAN_DIT_DIFFUSERS, "Hunyuan-DiT", "Hunyuan 1"),
    "Stable Cascade C": model(lambda: T.CASCADE_C, "Stable Cascade", "Stable Cascade"),
    "Stable Cascade B": model(lambda: T.CASCADE_B, "Stable Cascade", "Stable Cascade"),
    "Mochi": model(lambda: T.MOCHI, "Mochi", "Mochi"),
    "CogVideoX": model(lambda: T.COGVIDEOX_2B, "CogVideoX", "CogVideoX"),
    "LTX-Video": model(lambda: T.LTXV, "LTX-Video", "LTXV"),
    "LTX-Video, diffusers": model(lambda: T.LTXV_DIFFUSERS, "LTX-Video", "LTXV"),
    "LTX-2": model(lambda: T.LTXV_2, "LTX-Video", "LTXV2"),
    "Cosmos": model(lambda: prefixed("net.", T.COSMOS), "Cosmos", ""),
    "Anima": model(lambda: prefixed("net.", T.ANIMA), "Anima", "Anima"),
    "Kandinsky 5": model(lambda: T.KANDINSKY_5, "Kandinsky 5", ""),
    "Krea 2": model(lambda: T.KREA_2, "Krea 2", "Krea 2"),
    "Ernie": model(lambda: T.ERNIE, "Ernie", "Ernie"),
    "Ideogram 4": model(lambda: T.IDEOGRAM_4, "Ideogram 4", "Ideogram 4.0"),
    "ACE Step": model(lambda: T.ACE_AUDIO, "ACE Audio", "ACE Audio"),
    "Stable Audio": model(lambda: T.STABLE_AUDIO, "Stable Audio", ""),
}

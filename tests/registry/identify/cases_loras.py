"""The LoRA family: every flavour and spelling for every base family that has them."""

from __future__ import annotations

from collections.abc import Callable

from tests.registry.identify import unets as N
from tests.registry.identify.adapters import (
    adapter,
    blocks_of,
    clip_modules,
    flux_diffusers_modules,
    flux_modules,
    sd3_diffusers_modules,
    sd3_modules,
    unet_modules,
    wan_modules,
)
from tests.registry.identify.case import Case
from tests.registry.identify.tables import Keys


def _lora(build: Callable[[], Keys], family: str, base: str, flavour: str = "LoRA") -> Case:
    return Case(build, "lora", family, base, flavour)


def _both(shape: N.Shape, text: dict[str, tuple[int, ...]], flavour: str = "lora", **how: object) -> Keys:
    return adapter({**unet_modules(shape, **how), **text}, flavour)  # type: ignore[arg-type]


TE, TE1, TE2 = clip_modules(), clip_modules("lora_te1_"), clip_modules("lora_te2_", 1280, 32)
TE_SD2 = clip_modules("lora_te_", 1024, 23)
XL_TEXT = {**TE1, **TE2}
SD1, SD2, XL = ("SD 1.x", "SD 1.5"), ("SD 2.x", "SD 2.1"), ("SDXL", "SDXL 1.0")
FLUX, SD3 = ("Flux.1", "Flux.1 D"), ("SD 3", "SD 3")

LORAS: dict[str, Case] = {
    "LoRA SD 1": _lora(lambda: _both(N.SD1, TE), *SD1),
    "LoRA SD 1, ldm names": _lora(lambda: _both(N.SD1, TE, spelling="ldm"), *SD1),
    "LoRA SD 1, PEFT": _lora(lambda: _both(N.SD1, clip_modules("text_encoder."), "peft", spelling="dotted"), *SD1),
    "LoRA SD 1, old diffusers": _lora(lambda: adapter(unet_modules(N.SD1, spelling="dotted", only="attn"), "processor"), *SD1),
    "LoRA SD 1, text only": _lora(lambda: adapter(TE), *SD1),
    "LoRA SD 1, UNet only": _lora(lambda: adapter(unet_modules(N.SD1)), *SD1),
    "LoRA SD 2": _lora(lambda: _both(N.SD2, TE_SD2), *SD2),
    "LoRA SD 2, text only": _lora(lambda: adapter(TE_SD2), *SD2),
    "LoRA SDXL": _lora(lambda: _both(N.SDXL, XL_TEXT), *XL),
    "LoRA SDXL, sgm names": _lora(lambda: _both(N.SDXL, XL_TEXT, spelling="ldm"), *XL),
    "LoRA SDXL, PEFT": _lora(lambda: _both(N.SDXL, {}, "peft", spelling="dotted"), *XL),
    "LoRA SDXL, text only": _lora(lambda: adapter(XL_TEXT), *XL),
    "LoRA SDXL, self-attention only": _lora(lambda: adapter(unet_modules(N.SDXL, only="attn1")), *XL),
    "LoRA SDXL refiner": _lora(lambda: _both(N.REFINER, {}), "SDXL Refiner", "SDXL 1.0"),
    "LoCon SD 1": _lora(lambda: _both(N.SD1, TE, convolutions=True), *SD1, "LoCon"),
    "LoCon SD 1, Tucker": _lora(lambda: _both(N.SD1, {}, "tucker", convolutions=True), *SD1, "LoCon"),
    "LoCon SD 2": _lora(lambda: _both(N.SD2, {}, convolutions=True), *SD2, "LoCon"),
    "LoCon SDXL": _lora(lambda: _both(N.SDXL, XL_TEXT, convolutions=True), *XL, "LoCon"),
    "LoHa SD 1": _lora(lambda: _both(N.SD1, TE, "loha"), *SD1, "LoHa"),
    "LoHa SD 1, Tucker": _lora(lambda: _both(N.SD1, {}, "loha-tucker", convolutions=True), *SD1, "LoHa"),
    "LoHa SD 2": _lora(lambda: _both(N.SD2, {}, "loha"), *SD2, "LoHa"),
    "LoHa SDXL": _lora(lambda: _both(N.SDXL, XL_TEXT, "loha", spelling="ldm"), *XL, "LoHa"),
    "LoKr SD 1": _lora(lambda: _both(N.SD1, TE, "lokr"), *SD1, "LoKr"),
    "LoKr SD 2": _lora(lambda: _both(N.SD2, {}, "lokr-whole"), *SD2, "LoKr"),
    "LoKr SDXL": _lora(lambda: _both(N.SDXL, XL_TEXT, "lokr", convolutions=True), *XL, "LoKr"),
    "LoKr SDXL, whole": _lora(lambda: _both(N.SDXL, XL_TEXT, "lokr-whole"), *XL, "LoKr"),
    "DoRA SD 1": _lora(lambda: _both(N.SD1, TE, "dora"), *SD1, "DoRA"),
    "DoRA SDXL": _lora(lambda: _both(N.SDXL, XL_TEXT, "dora", convolutions=True), *XL, "DoRA"),
    "DoRA SDXL, PEFT": _lora(lambda: _both(N.SDXL, {}, "dora-peft", spelling="dotted"), *XL, "DoRA"),
    "OFT SDXL": _lora(lambda: _both(N.SDXL, XL_TEXT, "oft"), *XL, "OFT"),
    "BOFT SDXL": _lora(lambda: _both(N.SDXL, XL_TEXT, "boft"), *XL, "BOFT"),
    "OFT SD 1": _lora(lambda: _both(N.SD1, TE, "oft"), "", "", "OFT"),
    "GLoRA SD 1": _lora(lambda: _both(N.SD1, TE, "glora"), *SD1, "GLoRA"),
    "GLoRA SD 1, as LyCORIS writes it now": _lora(lambda: _both(N.SD1, TE, "glora-now", convolutions=True), *SD1, "GLoRA"),
    "GLoRA SDXL": _lora(lambda: _both(N.SDXL, XL_TEXT, "glora-now"), *XL, "GLoRA"),
    "IA3 SDXL": _lora(lambda: _both(N.SDXL, XL_TEXT, "ia3"), *XL, "IA3"),
    "IA3 SD 1": _lora(lambda: _both(N.SD1, {}, "ia3"), "", "", "IA3"),
    "Full difference SD 1": _lora(lambda: _both(N.SD1, TE, "diff"), *SD1, "Full difference"),
    "Full difference SDXL": _lora(lambda: _both(N.SDXL, {}, "diff"), *XL, "Full difference"),
    "LoRA SD 3": _lora(lambda: adapter(sd3_modules()), *SD3),
    "LoRA SD 3 with its text encoders": _lora(lambda: adapter({**sd3_modules(), **XL_TEXT}), *SD3),
    "LoRA SD 3, diffusers": _lora(lambda: adapter(sd3_diffusers_modules(), "peft"), *SD3),
    "LoRA SD 3.5 Large": _lora(lambda: adapter(sd3_modules(width=2432, blocks=38)), "SD 3.5", "SD 3.5 Large"),
    "LoRA SD 3.5 Large, diffusers": _lora(lambda: adapter(sd3_diffusers_modules(2432, 38), "peft"), "SD 3.5", "SD 3.5 Large"),
    "DoRA SD 3": _lora(lambda: adapter(sd3_modules(), "dora"), *SD3, "DoRA"),
    "LoHa SD 3": _lora(lambda: adapter(sd3_modules(), "loha"), *SD3, "LoHa"),
    "LoKr SD 3": _lora(lambda: adapter(sd3_modules(), "lokr"), *SD3, "LoKr"),
    "LoRA Flux": _lora(lambda: adapter(flux_modules()), *FLUX),
    "LoRA Flux with text encoders of SDXL's names": _lora(lambda: adapter({**flux_modules(), **TE1}), *FLUX),
    "LoRA Flux with both text encoders": _lora(lambda: adapter({**flux_modules(), **TE1, **clip_modules("lora_te2_", 1280, 2)}), *FLUX),
    "LoRA Flux, ComfyUI": _lora(lambda: adapter(flux_modules("diffusion_model."), "peft"), *FLUX),
    "LoRA Flux, diffusers": _lora(lambda: adapter(flux_diffusers_modules(), "peft"), *FLUX),
    "LoRA Flux, diffusers, double blocks": _lora(lambda: adapter(flux_diffusers_modules(single=False), "peft"), *FLUX),
    "LoRA Flux, OneTrainer": _lora(lambda: adapter(flux_diffusers_modules("lora_transformer_")), *FLUX),
    "DoRA Flux": _lora(lambda: adapter(flux_modules(), "dora"), *FLUX, "DoRA"),
    "LoHa Flux": _lora(lambda: adapter(flux_modules(), "loha"), *FLUX, "LoHa"),
    "LoKr Flux": _lora(lambda: adapter(flux_modules(), "lokr"), *FLUX, "LoKr"),
    "LoKr Flux, LyCORIS": _lora(lambda: adapter(flux_diffusers_modules("lycoris_"), "lokr"), *FLUX, "LoKr"),
    "OFT Flux": _lora(lambda: adapter(flux_modules(), "oft"), *FLUX, "OFT"),
    "LoRA Flux.2 dev": _lora(lambda: adapter(flux_modules("diffusion_model.", 6144, 8, 48, 3, 2), "peft"), "Flux.2", "Flux.2 D"),
    "LoRA Flux.2 klein 9B": _lora(
        lambda: adapter(flux_modules(width=4096, double=8, single=24, mlp=3, gate=2)), "Flux.2", "Flux.2 Klein 9B"
    ),
    "LoRA Flux.2 klein 4B": _lora(
        lambda: adapter(flux_modules(width=3072, double=5, single=20, mlp=3, gate=2)), "Flux.2", "Flux.2 Klein 4B"
    ),
    "LoRA Chroma": _lora(lambda: adapter({**flux_modules(), "lora_unet_distilled_guidance_layer_in_proj": (5120, 64)}), "Chroma", "Chroma"),
    "LoRA Hunyuan Video": _lora(
        lambda: adapter({**flux_modules(double=20, single=40), "lora_unet_double_blocks_0_img_mlp_fc1": (12288, 3072)}),
        "Hunyuan Video",
        "Hunyuan Video",
    ),
    "LoRA Wan 14B": _lora(lambda: adapter(wan_modules(), "peft"), "Wan Video", "Wan Video 14B t2v"),
    "LoRA Wan 14B i2v": _lora(lambda: adapter(wan_modules(image=True), "peft"), "Wan Video", "Wan Video 14B i2v 720p"),
    "LoRA Wan 1.3B": _lora(lambda: adapter(wan_modules(1536, prefix="lora_unet_blocks_{}_")), "Wan Video", "Wan Video 1.3B t2v"),
    "LoRA Wan 2.2 5B": _lora(lambda: adapter(wan_modules(3072), "peft"), "Wan Video", "Wan Video 2.2 TI2V-5B"),
    "LoRA Qwen-Image": _lora(
        lambda: adapter(
            blocks_of("transformer.transformer_blocks.{}.", 60, {"attn.to_q": (3072, 3072), "img_mlp.net.2": (3072, 12288)}), "peft"
        ),
        "Qwen",
        "Qwen",
    ),
    "LoRA Qwen-Image, attention only": _lora(
        lambda: adapter(blocks_of("transformer_blocks.{}.", 60, {"attn.to_q": (3072, 3072), "attn.add_k_proj": (3072, 3072)}), "peft"),
        "Qwen",
        "Qwen",
    ),
    "LoRA HiDream": _lora(
        lambda: adapter(blocks_of("diffusion_model.double_stream_blocks.{}.", 16, {"block.attn1.to_q": (2560, 2560)}), "peft"),
        "HiDream",
        "HiDream",
    ),
    "LoRA AuraFlow": _lora(
        lambda: adapter(blocks_of("transformer.joint_transformer_blocks.{}.", 4, {"attn.to_q": (3072, 3072)}), "peft"),
        "AuraFlow",
        "AuraFlow",
    ),
    "LoRA Lumina 2": _lora(lambda: adapter(blocks_of("lora_unet_layers_{}_", 26, {"attention.qkv": (3840, 2304)})), "Lumina", "Lumina"),
    "LoRA Z-Image": _lora(
        lambda: adapter(blocks_of("diffusion_model.layers.{}.", 30, {"attention.to_q": (3840, 3840)}), "peft"), "Z-Image", "ZImageTurbo"
    ),
    "LoRA LTX-Video": _lora(
        lambda: adapter(blocks_of("transformer.transformer_blocks.{}.", 28, {f"attn{n}.to_k": (2048, 2048) for n in (1, 2)}), "peft"),
        "LTX-Video",
        "LTXV",
    ),
    "LoRA CogVideoX": _lora(
        lambda: adapter(blocks_of("transformer.transformer_blocks.{}.", 30, {"attn1.to_k": (1920, 1920)}), "peft"), "CogVideoX", "CogVideoX"
    ),
    "LoRA PixArt": _lora(
        lambda: adapter(blocks_of("transformer.transformer_blocks.{}.", 28, {f"attn{n}.to_k": (1152, 1152) for n in (1, 2)}), "peft"),
        "PixArt",
        "PixArt E",
    ),
    "LoRA Anima": _lora(
        lambda: adapter({**blocks_of("lora_unet_blocks_{}_", 28, {"self_attn.q_proj": (2048, 2048)}), **clip_modules("lora_te_", 1024, 4)}),
        "Anima",
        "Anima",
    ),
    "LoRA for AnimateDiff": _lora(
        lambda: adapter(
            {
                f"down_blocks.{n}.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.to_q": (320, 320)
                for n in (0, 1)
            },
            "processor",
        ),
        *SD1,
    ),
}

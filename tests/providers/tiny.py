"""A second network of each kind, tiny and filled by formula."""

from __future__ import annotations

from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)
from timm.models.vision_transformer import VisionTransformer

from tests.backbones.builders import fill_fast


def tiny_network(patch: int = 4, registers: int = 0) -> VisionTransformer:
    """Two blocks of width 32 with a class token, as DINO; with registers, as DINOv2."""
    made = VisionTransformer(
        img_size=32,
        patch_size=patch,
        embed_dim=32,
        depth=2,
        num_heads=2,
        num_classes=0,
        reg_tokens=registers,
        init_values=0.1 if registers else None,
        dynamic_img_size=True,
    )
    made.pretrained_cfg = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    return fill_fast(made)  # type: ignore[return-value]


def tiny_sam() -> Sam:
    """An encoder of 64 pixels, a window block and a global one."""
    encoder = ImageEncoderViT(
        depth=2,
        embed_dim=32,
        img_size=64,
        mlp_ratio=2,
        num_heads=2,
        patch_size=8,
        qkv_bias=True,
        use_rel_pos=True,
        global_attn_indexes=(1,),
        window_size=4,
        out_chans=16,
    )
    prompts = PromptEncoder(
        embed_dim=16, image_embedding_size=(8, 8), input_image_size=(64, 64), mask_in_chans=4
    )
    decoder = MaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(depth=1, embedding_dim=16, mlp_dim=16, num_heads=2),
        transformer_dim=16,
        iou_head_depth=2,
        iou_head_hidden_dim=16,
    )
    return fill_fast(Sam(encoder, prompts, decoder))  # type: ignore[return-value]

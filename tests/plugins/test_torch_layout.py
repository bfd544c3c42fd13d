"""Matrices in the processor's own order: the products are those of plain ones."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import linear  # noqa: E402

from palaver_torch.layout import LaidOut, LaidOutLinear, Vocabulary, can_lay_out, lay_out  # noqa: E402

DTYPES = (torch.float32, torch.bfloat16)


def some(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rows", [1, 3, 70])
def test_a_product_is_that_of_the_plain_matrix(dtype: torch.dtype, rows: int) -> None:
    x, weight, bias = some(rows, 64, dtype=dtype), some(96, 64, dtype=dtype), some(96, dtype=dtype)
    with torch.inference_mode():
        torch.testing.assert_close(LaidOut(weight, bias)(x), linear(x, weight, bias))
        torch.testing.assert_close(LaidOut(weight)(x[None]), linear(x, weight)[None])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_vocabulary_in_parts_gives_the_logits_of_the_whole(dtype: torch.dtype) -> None:
    weight, bias = some(20_001, 16, dtype=dtype), some(20_001, dtype=dtype)  # three parts, the last one odd
    head = Vocabulary(weight, bias)
    with torch.inference_mode():
        for rows in (2, 5, 1):  # memory that is used again is not that of other rows
            x = some(rows, 16, dtype=dtype)
            torch.testing.assert_close(head(x), linear(x, weight, bias))
        head.release()
        torch.testing.assert_close(head(x[:, None]), linear(x, weight, bias)[:, None])


def test_only_layers_whose_weights_nobody_looks_up_are_laid_out() -> None:
    embed, tied, free = torch.nn.Embedding(8, 4), torch.nn.Linear(4, 8, bias=False), torch.nn.Linear(4, 4)
    tied.weight = embed.weight
    network = torch.nn.ModuleDict({"embed": embed, "tied": tied, "free": free}).to(torch.bfloat16)
    lay_out(network)
    assert isinstance(network["tied"], torch.nn.Linear)
    assert isinstance(network["free"], LaidOutLinear) is can_lay_out(embed.weight)


def test_single_precision_stays_as_it_is() -> None:
    weight = some(4, 4, dtype=torch.float32)
    assert not can_lay_out(weight)
    assert torch.equal(LaidOut(weight)(weight), linear(weight, weight))

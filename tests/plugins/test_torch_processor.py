"""Kernels of our own for a processor: they compute what PyTorch's operations compute, each row by itself."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("llvmlite")

from torch.nn.functional import rms_norm, scaled_dot_product_attention, silu  # noqa: E402

from palaver_torch.llama import PlainBetween, Shape, Turns  # noqa: E402
from palaver_torch.processor import Processor, processor_of  # noqa: E402

CPU = torch.device("cpu")
ROWS, SLOTS, COLUMNS = 7, 9, 50
DTYPES = [torch.float32, torch.bfloat16]
HEADS = [(4, 2, 16), (6, 2, 64), (16, 1, 128), (3, 3, 32)]
"""Query heads, key heads, width: with one head a group, with more than fit into the registers at once."""


def shape_of(heads: int, groups: int, head: int, dtype: torch.dtype) -> Shape:
    return Shape(1, 64, heads, groups, head, 1e-5, dtype)


def some(*size: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def near(found: torch.Tensor, wanted: torch.Tensor, dtype: torch.dtype) -> None:
    """As near as the rounding of the result."""
    loose = 2**-8 if dtype == torch.bfloat16 else 2e-6
    torch.testing.assert_close(found.float(), wanted.float(), rtol=loose, atol=loose)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rows", [1, 33])
def test_a_norm_is_that_of_the_sum(dtype: torch.dtype, rows: int) -> None:
    processor = Processor(shape_of(4, 2, 16, dtype))
    x, more, scale = some(rows, 64), some(rows, 64, seed=2).to(dtype), some(64, seed=3)
    wanted = x + more
    near(processor.norm(x, None, scale), rms_norm(x, (64,), scale, 1e-5), dtype)
    near(processor.norm(x, more, scale), rms_norm(wanted, (64,), scale, 1e-5), dtype)
    assert torch.equal(x, wanted)  # the stream grows


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("width", [96, 40])
def test_a_gate_is_silu_times_up_for_every_width_and_far_out(dtype: torch.dtype, width: int) -> None:
    both = (some(5, 2 * width) * 30).to(dtype)
    both[0, :4] = torch.tensor([-1e4, -88.0, 0.0, 1e4]).to(dtype)
    gate, up = both.float().chunk(2, dim=1)
    found = Processor(shape_of(4, 2, 16, dtype)).gate(both)
    loose = 2**-6 if dtype == torch.bfloat16 else 1e-5  # PyTorch rounds twice where it does the odd width
    torch.testing.assert_close(found.float(), silu(gate) * up, rtol=loose, atol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("heads", "groups", "head"), HEADS)
def test_queries_turn_and_keys_and_values_go_into_their_slots(
    heads: int, groups: int, head: int, dtype: torch.dtype
) -> None:
    shape = shape_of(heads, groups, head, dtype)
    mixed = some(ROWS, (heads + 2 * groups) * head).to(dtype)
    table = torch.polar(torch.ones(COLUMNS, head // 2), some(COLUMNS, head // 2, seed=2))
    positions, slots = torch.tensor([3, 0, 49, 7, 7, 20, 1]), torch.tensor([4, 1, 0, 2, 8, 4, 7])
    keys, values = (torch.full((SLOTS, groups, COLUMNS, head), 5.0).to(dtype) for _ in range(2))
    found = Processor(shape).turn(mixed, table, positions, slots, keys, values)
    wanted = Turns(shape, table, positions).split(mixed)
    for one, right in zip((found, keys[slots, :, positions], values[slots, :, positions]), wanted, strict=True):
        near(one, right, dtype)
    assert int((keys != 5).any(dim=-1).sum()) == ROWS * groups  # and nothing else is touched


def attended(processor: Processor, queries: torch.Tensor, more: int = 0, **how: object) -> torch.Tensor:
    shape = processor.shape
    keys, values = (some(SLOTS, shape.groups, COLUMNS + more, shape.head, seed=at).to(shape.dtype) for at in (2, 3))
    ends, slots = torch.tensor([50, 1, 17, 16, 48, 33, 5]), torch.tensor([4, 1, 0, 2, 8, 4, 7])
    return processor.attend(queries, keys, values, slots, ends, 50, **how)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("window", [None, 20])
@pytest.mark.parametrize(("heads", "groups", "head"), HEADS)
def test_each_row_attends_to_its_own_slot_up_to_its_end(
    heads: int, groups: int, head: int, window: int | None, dtype: torch.dtype
) -> None:
    processor = Processor(shape_of(heads, groups, head, dtype))
    queries = (2 * some(ROWS, heads, head)).to(dtype)
    keys, values = (some(SLOTS, groups, COLUMNS, head, seed=at).to(dtype).float() for at in (2, 3))
    ends, slots = [50, 1, 17, 16, 48, 33, 5], [4, 1, 0, 2, 8, 4, 7]
    wanted = []
    for row, (end, slot) in enumerate(zip(ends, slots, strict=True)):
        seen = slice(max(0, end - window) if window else 0, end)
        query = queries[row].float().view(groups, -1, head)
        wanted.append(scaled_dot_product_attention(query, keys[slot, :, seen], values[slot, :, seen]).view(heads, head))
    near(attended(processor, queries, window=window), torch.stack(wanted), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_row_does_not_depend_on_the_others_nor_on_the_threads(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = Processor(shape_of(6, 2, 64, dtype))
    x, scale, both = some(300, 64), some(64, seed=2), some(300, 192, seed=3).to(dtype)
    queries = some(ROWS, 6, 64).to(dtype)
    calls: list[Callable[[], torch.Tensor]] = [
        lambda: processor.norm(x, None, scale),
        lambda: processor.gate(both),
        lambda: attended(processor, queries),
    ]
    alone = [call() for call in calls]
    assert torch.equal(alone[0][7:8], processor.norm(x[7:8], None, scale))
    assert torch.equal(alone[1][7:8], processor.gate(both[7:8]))
    monkeypatch.setattr(processor._run, "threads", lambda work: 3)
    for call, wanted in zip(calls, alone, strict=True):
        assert torch.equal(call(), wanted)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_is_no_number_stays_none(dtype: torch.dtype) -> None:
    processor = Processor(shape_of(4, 2, 16, dtype))
    bad = some(2, 64)
    bad[1, 5] = float("nan")
    assert processor.norm(bad.clone(), None, torch.ones(64)).isnan().any(dim=1).tolist() == [False, True]
    assert processor.gate(bad.to(dtype)).isnan().any(dim=1).tolist() == [False, True]
    queries = some(ROWS, 4, 16).to(dtype)
    queries[2, 1, 3] = float("nan")
    assert attended(processor, queries).isnan().flatten(1).any(dim=1).tolist() == [at == 2 for at in range(ROWS)]


def test_where_kernels_cannot_be_had_pytorch_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = shape_of(4, 2, 16, torch.float32)
    assert processor_of(shape, CPU) is not None
    assert processor_of(shape, torch.device("meta")) is None
    assert processor_of(shape_of(4, 2, 24, torch.float32), CPU) is None
    assert processor_of(shape_of(4, 2, 16, torch.float16), CPU) is None
    monkeypatch.setenv("PALAVER_TORCH_KERNELS", "0")
    assert processor_of(shape, CPU) is None
    monkeypatch.setenv("PALAVER_TORCH_KERNELS", "1")
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    for name in ("palaver_torch.loops", "palaver_torch.compiled", "palaver_torch.vectors"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert processor_of(shape_of(8, 4, 16, torch.float32), CPU) is None


def test_pytorchs_own_norm_and_gate_are_the_same() -> None:
    shape = shape_of(4, 2, 16, torch.float32)
    processor, plain = Processor(shape), PlainBetween(shape)
    scale = some(64, seed=2).repeat(2)
    for rows in (2, 40):  # few and many rows take different ways
        x, more = some(rows, 64), some(rows, 64, seed=3)
        near(plain.norm(x.clone(), more, scale), processor.norm(x.clone(), more, scale), torch.float32)
        near(plain.gate(x), processor.gate(x), torch.float32)

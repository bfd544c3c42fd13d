"""What is typed after a slash becomes a task with its inputs, options and references."""

from __future__ import annotations

from pathlib import Path

import pytest

from palaver import BadInput, NotFound, UsageError
from palaver.command import decode, languages_typed, parse_line, scan
from palaver.plugins import Plugins
from palaver.registry import Registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry(Plugins())


def test_plain_text_is_chat(registry: Registry) -> None:
    ask = parse_line('What\'s a "noun"?\nTell me.', registry)
    assert ask.task.name == "chat"
    assert ask.example["text"] == 'What\'s a "noun"?\nTell me.'


def test_two_slashes_begin_a_text_with_a_slash(registry: Registry) -> None:
    ask = parse_line("//etc is a folder", registry)
    assert (ask.task.name, ask.example["text"]) == ("chat", "/etc is a folder")


def test_translate_takes_its_language_first_and_the_rest_as_it_is(registry: Registry) -> None:
    ask = parse_line("/translate fr It's  the dog's\n  bone.", registry)
    assert ask.task.options()["target"] == "fr"
    assert ask.example["text"] == "It's  the dog's\n  bone."


def test_flags_may_stand_anywhere_and_leave_the_text_whole(registry: Registry) -> None:
    ask = parse_line('/translate fr Good morning. --ref "Bon jour." -m copy --temperature 0.5 --source en', registry)
    assert ask.example["text"] == "Good morning."
    assert ask.example.references == ("Bon jour.",)
    assert ask.model == "copy"
    assert dict(ask.config) == {"temperature": "0.5"}
    assert ask.task.options() == {"target": "fr", "source": "en"}


def test_a_reference_goes_on_to_the_next_flag_or_the_end(registry: Registry) -> None:
    ask = parse_line("/translate fr The dog sleeps. --ref Le chien dort. -r Un chien dort. -m copy", registry)
    assert ask.example["text"] == "The dog sleeps."
    assert ask.example.references == ("Le chien dort.", "Un chien dort.")
    assert ask.model == "copy"


def test_o_sets_the_tasks_options_and_the_decoding_ones(registry: Registry) -> None:
    ask = parse_line("/summarize -o length=2 -o seed=7 One. Two. Three.", registry)
    assert ask.task.options() == {"length": 2}
    assert dict(ask.config) == {"seed": "7"}


def test_files_are_read_for_inputs_and_references(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("\ufeffUlm is a town.\r\nIt has a minster.", "utf-8")
    (tmp_path / "ref.txt").write_text("a town", "utf-8")
    ask = parse_line(f"/qa @{tmp_path}/text.txt What is Ulm? --ref @{tmp_path}/ref.txt", registry)
    assert ask.example["context"] == "Ulm is a town.\nIt has a minster."
    assert ask.example["question"] == "What is Ulm?"
    assert ask.example.references == ("a town",)


def test_quotes_hold_an_input_of_several_words_together(registry: Registry) -> None:
    ask = parse_line('/qa "Ulm is a town." What is Ulm?', registry)
    assert (ask.example["context"], ask.example["question"]) == ("Ulm is a town.", "What is Ulm?")


def test_a_file_mentioned_in_a_chat_goes_along_and_a_handle_does_not(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "n.md").write_text("Ten ducks.", "utf-8")
    ask = parse_line(f"Ask @nobody about @{tmp_path}/n.md please", registry)
    assert ask.example["text"] == "Ask @nobody about \n\nn.md:\nTen ducks.\n\n please"


@pytest.mark.parametrize(
    ("line", "error", "sentence"),
    [
        ("/sumarize x", NotFound, "There is no task named 'sumarize'. Did you mean 'summarize'?"),
        ("/translate", UsageError, "translate needs target: /translate TARGET TEXT|@FILE"),
        ("/translate hello world", UsageError, "translate: 'hello' is no language known here"),
        ("/summarize --length x y", UsageError, "summarize: length is a whole number, not 'x'."),
        ("/summarize -o size=3 y", UsageError, "summarize has no option 'size'. Its options are: length."),
        ("/summarize text --ref", UsageError, "--ref needs a value after it."),
        ("/summarize @no-such-file.txt", BadInput, "There is no file no-such-file.txt."),
    ],
)
def test_a_line_that_cannot_be_run_is_refused_in_one_sentence(
    registry: Registry, line: str, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as caught:
        parse_line(line, registry)
    assert str(caught.value).startswith(sentence)


def test_bytes_that_are_not_utf8_are_refused_with_the_place_and_the_remedy() -> None:
    with pytest.raises(BadInput) as caught:
        decode("Grüße".encode("latin-1"), "note.txt")
    assert str(caught.value) == "note.txt is not UTF-8 text: byte 2 is 0xfc."
    assert caught.value.fix == "iconv -f ISO-8859-1 -t UTF-8 note.txt"
    with pytest.raises(BadInput, match="NUL"):
        decode(b"a\0b", "x.bin")


@pytest.mark.parametrize(
    ("line", "languages"),
    [
        ("fr Good morning, my friends.", "en-fr, en guessed"),
        ("fr --from de Guten Morgen", "de-fr"),
        ("fr @notes.md", "fr"),  # the file is not read for it
        ("fr", "fr"),
        ("xx hello", ""),
    ],
)
def test_half_a_line_tells_its_languages_without_reading_files(registry: Registry, line: str, languages: str) -> None:
    task = registry.task("translate")
    assert languages_typed(task, scan(task, f" {line}")).told == languages

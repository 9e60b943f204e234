"""Sentences that say yes, and those that do not."""

import pytest

from gtalk.errors import UserError
from gtalk.marks.consent import require_yes

YES = [
    "I agree.", "I am Ada and agree to this avatar.", "Yes, you may use my face for this.",
    "I, Ada, hereby give my consent.", "Ada permits this avatar.", "Ich bin Ada und stimme diesem Avatar zu.",
    "Ich bin einverstanden.", "Je suis d'accord.", "J'autorise cet avatar.", "Acepto que se haga este avatar.",
    "Acconsento a questo avatar.", "Eu autorizo este avatar.", "Ik ga akkoord met deze avatar.",
    "Wyrażam zgodę, zgadzam się.", "Я согласна.", "本人はこのアバターに同意します。", "我同意制作这个头像。",
    "저는 이 아바타에 동의합니다.", "मैं इस अवतार के लिए सहमत हूँ",
    "The demo person is synthetic; nobody's likeness is used.", "A drawing, not a person.",
    "I agree to this avatar and want no watermark in it.",
]  # fmt: skip
NO = [
    ".", "?!", "ok", "aaaaaaaaaa", "consent", "agree!", "me", "I do not agree.", "I don't agree",
    "I don’t agree to this",
    "I never agreed to that.", "No, I will not allow it.", "I agree to nothing.", "I refuse",
    "I disagree with this avatar",
    "I withdraw my consent.", "Used without consent.",
    "I agree, but not to this avatar.", "I cannot consent", "Ich stimme nicht zu.",
    "Ich bin damit nicht einverstanden.", "Je ne suis pas d'accord.", "Je n'accepte pas.", "No acepto.",
    "Non acconsento.", "Não autorizo.", "Ik ga niet akkoord.", "Я не согласна.", "同意しません。", "我不同意。",
    "동의하지 않습니다.", "This is a sentence about the weather.", "I agree" * 500,
]  # fmt: skip
HIDDEN = [
    "I agree\u200b.",
    "\u2800\u2800\u2800",
    "\u3164",
    "I do \u202enot\u202c agree",
    "I agree.\x00",
    "\ufeffI agree.",
]


@pytest.mark.parametrize("statement", YES)
def test_a_yes_is_taken(statement: str) -> None:
    """What is refused raises."""
    assert require_yes("Ada", statement) is None


@pytest.mark.parametrize("statement", NO, ids=range(len(NO)))
def test_what_is_no_yes_is_refused(statement: str) -> None:
    with pytest.raises(UserError, match="a sentence that says yes"):
        require_yes("Ada", statement)


@pytest.mark.parametrize("statement", HIDDEN, ids=range(len(HIDDEN)))
def test_letters_that_cannot_be_seen_are_refused(statement: str) -> None:
    with pytest.raises(UserError, match=r"letters that can be seen; got U\+"):
        require_yes("Ada", statement)
    with pytest.raises(UserError, match="--person: expected letters"):
        require_yes(statement, "I agree.")


def test_both_are_asked_for_and_a_name_has_letters() -> None:
    for person, statement in (("", ""), ("Ada", " "), (" ", "I agree."), ("...", "I agree.")):
        with pytest.raises(UserError, match="--person and --consent"):
            require_yes(person, statement)


def test_only_the_person_leaves_out_the_mark() -> None:
    with pytest.raises(UserError, match="--watermark off"):
        require_yes("Ada", "I am Ada and agree to this avatar.", watermark=False)
    require_yes("Ada", "I am Ada, agree to this avatar and want no watermark in it.", watermark=False)
    require_yes("Ada", "Ich bin Ada, einverstanden, und will kein Wasserzeichen.", watermark=False)
    with pytest.raises(UserError, match="a sentence that says yes"):
        require_yes("Ada", "I do not agree, and no watermark.", watermark=False)

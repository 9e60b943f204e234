"""Whether a sentence says yes. Words, not meaning: it keeps out what is no consent at all, and what says no.

What a person means only that person knows; the statement is kept with the avatar for whoever asks later.
"""

from __future__ import annotations

import re
import unicodedata

from gtalk.errors import UserError

_MOST_LETTERS, _LEAST_LETTERS = 2000, 6
_YES = re.compile(
    r"\b(agree|consent|allow|permi|authori[sz]|approve|grant|yes\b|zustimm|stimme\b.*\bzu\b|einverstanden|erlaub|gestatte"
    r"|genehmig|einwillig|willige|accept|accord|autoris|acept|autori[zs]|acuerdo|aceit|concordo|accett|acconsent|akkoord"
    r"|toestem|toestaan|zgadzam|zgod|соглас|разреш|kabul|izin|onay)"
    r"|同意|許可|承諾|许可|授权|允许|동의|허락|सहमत|अनुमति"
)
_NOBODY = re.compile(
    r"\b(synthetic|nobody|no one|nobody's|not a (real )?person|a drawing|fictional|imaginary|no real person)\b"
)
"""Where there is nobody to ask."""
_NO = re.compile(
    r"\b(not|never|no|none|nothing|nor|neither|without|cannot|cant|dont|wont|refus\w*|disagree\w*|withdr[ae]w\w*|revok\w*"
    r"|object|objects|den(y|ies|ied)|forbid\w*|declin\w*|against|unless|nicht|kein\w*|nie|niemals|ohne|verweiger\w*"
    r"|widersprech\w*|widerruf\w*|ne|pas|jamais|non|sans|aucun\w*|nunca|jamás|ni|sin|rechaz\w*|niego|senza|rifiut\w*"
    r"|não|nao|sem|recus\w*|niet|geen|nooit|weiger\w*|zonder|nigdy|bez|не|нет|никогда|без|отказ\w*|değil|hayır)\b"
    r"|\bn['’]|n['’]t\b|不|没|沒|未|拒|ません|ない|反対|않|없|नहीं|असहमत"
)
_MARK = re.compile(r"watermark|invisible mark|wasserzeichen|filigran|marca de agua|marca d.água|watermerk|透かし|水印")
_BLANK = "\u115f\u1160\u3164\uffa0\u2800\u034f"
"""Letters, as Unicode has them, that show nothing."""


def require_yes(person: str, statement: str, *, watermark: bool = True) -> None:
    """Whose likeness it is and why it may be used. Raises UserError for what is no such sentence.

    Args:
        watermark: whether pictures will carry the invisible mark; where not, the sentence has to say so.
    """
    for name, text in (("--person", person), ("--consent", statement)):
        if hidden := sorted({letter for letter in text if _hidden(letter)}):
            names = ", ".join(f"U+{ord(letter):04X}" for letter in hidden[:4])
            raise UserError(name, expected="letters that can be seen", got=names, remedy="Type it by hand.")
    if not person.strip() or not statement.strip():
        raise _no_consent("nothing" if not (person.strip() or statement.strip()) else "only one of them")
    if not any(letter.isalpha() for letter in person):
        raise _no_consent(f"the name {person.strip()[:40]!r}")
    words = unicodedata.normalize("NFKC", statement).casefold()
    n_letters = sum(letter.isalpha() * (3 if letter > "\u3000" else 1) for letter in words)  # of some, one is a word
    if not _LEAST_LETTERS <= n_letters <= _MOST_LETTERS or (words.isascii() and len(words.split()) < 2):
        raise _no_consent(f"{statement.strip()[:40]!r}")
    if not _YES.search(words) and not _NOBODY.search(words):
        raise _no_consent(f"a sentence without a yes: {statement.strip()[:80]!r}")
    if no := _NO.search(_apart_from_marks(_NOBODY.sub("", words))):
        raise _no_consent(f"a sentence with {no[0]!r} in it: {statement.strip()[:80]!r}")
    if not watermark and not _MARK.search(words):
        raise UserError(
            "--watermark off",
            expected="that the person who agreed chose so, in the sentence of consent",
            got=f"{statement.strip()[:80]!r}",
            remedy='For example: --consent "I am Ada, agree to this avatar and want no watermark in it."',
        )


def _apart_from_marks(words: str) -> str:
    """Without the clauses about the mark: `no watermark` takes nothing back."""
    return " ".join(clause for clause in re.split(r"[.,;:!?。、，]|\band\b|\bund\b", words) if not _MARK.search(clause))


def _hidden(letter: str) -> bool:
    return letter in _BLANK or (unicodedata.category(letter) in {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def _no_consent(got: str) -> UserError:
    return UserError(
        "--person and --consent",
        expected="whose likeness this is, and that the person agreed, in a sentence that says yes",
        got=got,
        remedy='For example: --person "Ada Lovelace" --consent "I am Ada and agree to this avatar."',
    )

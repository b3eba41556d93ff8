"""Names that nobody bears, put together from syllables, and the ways in which they are spelled differently.

No list of real names is read or imitated. Two tokens of a name are never equal, so that a name has a shape to match on.
"""

# ruff: noqa: RUF001 (the second script is made of look-alikes on purpose)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from examples.region.draws import Draws


@dataclass(frozen=True, slots=True)
class Tongue:
    """How a people's invented names sound: first syllables, middle ones, and ends of family and given names."""

    first: tuple[str, ...]
    middle: tuple[str, ...]
    surname_ends: tuple[str, ...]
    given_ends: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ISTHMIAN: Final = Tongue(
    first=_words(
        "AVEL BORA CALDI DASTA ELMO FARU GOLVE ILSA KARTI LUMO MERO NOVI OLTA PALDO QUERI ROSTA SOLVI TAMBE "
        "URDO VELTA ZAMO BRILO CRESTA DRUVA FLOREN GRALO PLIMA TRAVI"
    ),
    middle=_words("BRI DAR FEN GUL LAN MIR NEL POR RES SIM TOL VAN ZUR LED MOR KAS TIR NOM"),
    surname_ends=_words(
        "ADEZ ORMO UNTE ALVAR ESCOL INDRO OSTEL AMBRE ERANZ IVELO ORDAN USTEN ARDILO ENDOR ILMAZ OLVETE"
    ),
    given_ends=_words("INA ODO ELIA ANDO ISA ARIO ETTA UNO ELDA IRO ANELA OSTO"),
)

UTOPIAN: Final = Tongue(
    first=_words(
        "AMAU BELTH CORVA DRENN EUTH FOLGA GRIV HYTHA IRVA KORV LETH MENTI NYSSA ORVA PHELK RETH SARNA THRENN "
        "ULVA VORTH WENDA YRVA ZETH BRENTH KELDRA MORWE STELVA TROVA"
    ),
    middle=_words("AKS ELD IRN OLM UND ARV EST ITH ORK USK ENT ILV ANTH ERD OST IMR"),
    surname_ends=_words("OVAR ESKIN ANTHE ULDAR IMSKY ORETH ALVIN ENDRAK IKARD OSTREN UMBEK ARTHEL ELVONT INSKAR"),
    given_ends=_words("A EL IS ON ETH AR IMA ULA EK ANE ORIN"),
)

LITTORAL: Final = Tongue(
    first=_words(
        "ABIO BANTU CHALO DELI EBRI FANDO GUEMI JOLA KIMBO LAVI MANDO NERI OBIA PETRO RAVIO SIBO TALU VIMBO "
        "WALE YAMO ZOLI BELA DOMI KALO"
    ),
    middle=_words("BEL DON FAR GIN LOR MAN NIT PAL RIV SON TAV VIR ZEN KEM"),
    surname_ends=_words("AUX EBRUN ICOTE OMBAL URETTE ANVIL ELMOT IRAUD ONGUE ADIEN"),
    given_ends=_words("INE EAU ILA ON ETTE IAN OLE UMA"),
)

_TONGUE_OF: Final = {"UTO": UTOPIAN, "XXA": UTOPIAN, "XXB": UTOPIAN, "HTI": LITTORAL, "CUB": LITTORAL, "GUY": LITTORAL}


def tongue_of(nationality: str) -> Tongue:
    """How names sound among nationals of a state."""
    return _TONGUE_OF.get(nationality, ISTHMIAN)


def surname(draws: Draws, tongue: Tongue) -> str:
    """One family name of one token."""
    return draws.pick(tongue.first) + draws.pick(tongue.middle) + draws.pick(tongue.surname_ends)


def given(draws: Draws, tongue: Tongue) -> str:
    """One given name of one token."""
    middle = draws.pick(tongue.middle) if draws.percent(60) else ""
    return draws.pick(tongue.first) + middle + draws.pick(tongue.given_ends)


def full(draws: Draws, tongue: Tongue, taken: frozenset[str]) -> tuple[str, str]:
    """(surname, given names) of one to two tokens each, distinct, none of them in `taken`."""
    tokens: list[str] = []

    def fresh(make: Callable[[Draws, Tongue], str]) -> str:
        token = make(draws, tongue)
        while token in taken or token in tokens:
            token = make(draws, tongue)
        tokens.append(token)
        return token

    family = " ".join(fresh(surname) for _ in range(2 if draws.percent(35) else 1))
    return family, " ".join(fresh(given) for _ in range(2 if draws.percent(30) else 1))


# Changes of spelling that metaphone hears alike; each applies where its left side stands, past the first letter.
_DRIFTS: Final = (
    ("KA", "CA"),
    ("KO", "CO"),
    ("KU", "CU"),
    ("CA", "KA"),
    ("CO", "KO"),
    ("PH", "F"),
    ("F", "PH"),
    ("V", "F"),
    ("ZA", "SA"),
    ("ZE", "SE"),
    ("ZO", "SO"),
    ("LL", "L"),
    ("NN", "N"),
    ("EL", "ELL"),
    ("AN", "ANN"),
    ("OR", "ORR"),
    ("TA", "TTA"),
    ("DA", "DDA"),
    ("LA", "LLA"),
)


def respelled(token: str, draws: Draws) -> str:
    """The token as another clerk wrote it; it sounds the same. Unchanged where no drift applies."""
    start = draws.below(len(_DRIFTS))
    for before, after in _DRIFTS[start:] + _DRIFTS[:start]:
        at = token.find(before, 1)
        if at > 0:
            return token[:at] + after + token[at + len(before) :]
    return token


_CYRILLIC: Final = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWYZ", "АБКДЕФГХИЙКЛМНОПКРСТУВВИЗ", strict=True)) | {"X": "КС"}


def native(name: str) -> str:
    """The name in a second script (Cyrillic letter by letter), as a list that keeps native spellings has it."""
    return "".join(_CYRILLIC.get(letter, letter) for letter in name)

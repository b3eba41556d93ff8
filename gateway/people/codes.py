"""State codes of the machine readable zone (ICAO Doc 9303 part 3, section 5): ISO 3166-1 and what stands beside it."""

# ruff: noqa: SIM905 (a table is read as words, not as a list of quoted strings)

from __future__ import annotations

import re
from typing import Final

from gateway.terms.realm import SANDBOX_STATES

STATELESS: Final = "XXA"
REFUGEE: Final = "XXB"
REFUGEE_OTHER: Final = "XXC"
UNSPECIFIED: Final = "XXX"

PROTECTED_NATIONALITIES: Final = frozenset({REFUGEE, REFUGEE_OTHER})
"""Nationality fields that say "refugee": 1951 Convention, or otherwise."""

NO_NATIONALITY: Final = frozenset({STATELESS, REFUGEE, REFUGEE_OTHER, UNSPECIFIED, ""})
"""What a nationality field says when it names no state at all (part 3, section 5, codes for persons without one)."""

ISO_3166: Final = frozenset(
    """
    ABW AFG AGO AIA ALA ALB AND ARE ARG ARM ASM ATA ATF ATG AUS AUT AZE BDI BEL BEN BES BFA BGD BGR BHR BHS BIH BLM BLR
    BLZ BMU BOL BRA BRB BRN BTN BVT BWA CAF CAN CCK CHE CHL CHN CIV CMR COD COG COK COL COM CPV CRI CUB CUW CXR CYM CYP
    CZE DEU DJI DMA DNK DOM DZA ECU EGY ERI ESH ESP EST ETH FIN FJI FLK FRA FRO FSM GAB GBR GEO GGY GHA GIB GIN GLP GMB
    GNB GNQ GRC GRD GRL GTM GUF GUM GUY HKG HMD HND HRV HTI HUN IDN IMN IND IOT IRL IRN IRQ ISL ISR ITA JAM JEY JOR JPN
    KAZ KEN KGZ KHM KIR KNA KOR KWT LAO LBN LBR LBY LCA LIE LKA LSO LTU LUX LVA MAC MAF MAR MCO MDA MDG MDV MEX MHL MKD
    MLI MLT MMR MNE MNG MNP MOZ MRT MSR MTQ MUS MWI MYS MYT NAM NCL NER NFK NGA NIC NIU NLD NOR NPL NRU NZL OMN PAK PAN
    PCN PER PHL PLW PNG POL PRI PRK PRT PRY PSE PYF QAT REU ROU RUS RWA SAU SDN SEN SGP SGS SHN SJM SLB SLE SLV SMR SOM
    SPM SRB SSD STP SUR SVK SVN SWE SWZ SXM SYC SYR TCA TCD TGO THA TJK TKL TKM TLS TON TTO TUN TUR TUV TWN TZA UGA UKR
    UMI URY USA UZB VAT VCT VEN VGB VIR VNM VUT WLF WSM YEM ZAF ZMB ZWE
    """.split()
)
"""ISO 3166-1 alpha-3: states and territories, 249 codes."""

ORGANISATIONS: Final = frozenset("EUE IAO UNA UNO XBA XCC XCE XCO XDC XEC XES XIM XMP XOM XPO".split())
"""Issuers that are no state: the European Union, ICAO, the United Nations and its agencies, the African Development
Bank, CARICOM, the Council of Europe, COMESA, SADC, ECOWAS, OECS, Afreximbank, PAM, the Order of Malta, INTERPOL."""

UNK: Final = "UNK"
"""A resident of Kosovo with a document of the United Nations' mission: names no state that would answer for it."""

UTOPIA: Final = "UTO"
"""The state of Doc 9303's specimens."""

_ISO: Final = {
    "D": "DEU", "GBD": "GBR", "GBN": "GBR", "GBO": "GBR", "GBP": "GBR", "GBS": "GBR", "RKS": "XKX",
}  # fmt: skip
"""Codes of the zone for states that peers know by another."""

_CODE = re.compile(r"[A-Z]{3}\Z")
_USER_ASSIGNED = re.compile(r"(AA[A-Z]|Q[M-Z][A-Z]|X[A-X][A-Z]|ZZ[A-Z])\Z")
"""ISO 3166-1 leaves these to its users: exercises and test states have such codes, and Kosovo's XKX."""

DEFINED: Final = (
    ISO_3166 | ORGANISATIONS | NO_NATIONALITY - {""} | frozenset(_ISO) | {UNK, UTOPIA, "NTZ", "XKX"} | SANDBOX_STATES
)
"""Every code with a meaning of its own, those of a sandbox's states among them."""


def is_code(code: str) -> bool:
    """True for a well-formed code of the zone. Whether it is defined is not judged: codes are added over time."""
    return code == "D" or bool(_CODE.match(code))


def is_defined(code: str) -> bool:
    """False for a code that means nothing to us: a misspelling, or newer than our table."""
    return code in DEFINED


def names_a_state(code: str) -> bool:
    """True where the code says which state is meant. Without one, any peer may be the one a person fled from (T2)."""
    if code in ORGANISATIONS or code in NO_NATIONALITY or code == UNK:
        return False
    return code in DEFINED or bool(_USER_ASSIGNED.match(code))


def iso(code: str) -> str:
    """The code a state is known by among peers: the zone's `D` is ISO's `DEU`, and the `GB?` codes are `GBR`."""
    return _ISO.get(code, code)


def same_state(left: str, right: str) -> bool:
    """True where two codes name one state."""
    return iso(left) == iso(right)

"""Names that mean the same diagnosis: the codes of HAM10000 and ISIC, and how checkpoints spell them out."""

from __future__ import annotations

SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("mel", "melanoma", "malignant melanoma"),
    ("nv", "nevus", "naevus", "nevi", "naevi", "melanocytic nevus", "melanocytic nevi", "mole"),
    ("bcc", "basal cell carcinoma"),
    ("scc", "squamous cell carcinoma"),
    (
        "akiec", "ak", "actinic keratosis", "actinic keratoses", "bowen s disease", "intraepithelial carcinoma",
        "actinic keratoses and intraepithelial carcinoma bowen s disease",
    ),
    (
        "bkl", "benign keratosis", "benign keratosis like lesions", "pigmented benign keratosis",
        "seborrheic keratosis", "seborrhoeic keratosis", "solar lentigo", "lichen planus like keratosis", "keratosis",
    ),
    ("df", "dermatofibroma"),
    ("vasc", "vascular lesion", "vascular lesions", "haemangioma", "hemangioma"),
)  # fmt: skip
"""Each row is one diagnosis; the first name is its code. Lower case, only letters, digits and single blanks."""

_CODE = {name: row[0] for row in SYNONYMS for name in row}


def code_of(name: str) -> str:
    """Return what a class or label is called here, so that equal diagnoses have equal names."""
    plain = " ".join("".join(letter if letter.isalnum() else " " for letter in name.casefold()).split())
    return _CODE.get(plain, plain)

"""A few words of each language: where no font has all of their letters, no PDF is made in it."""

from __future__ import annotations

SAMPLES = {
    "ar": "اشتباه بكسر · لم يُعثر على كسر · نتيجة آلية وليست تشخيصًا · ٠١٢٣٤٥٦٧٨٩",
    "bn": "হাড় ভাঙার সন্দেহ · ০১২৩৪৫৬৭৮৯",
    "en": "Fracture suspected, “AI result, not a diagnosis” · …",
    "es": "¿Fractura? Sospecha de fractura · imagen n.º 1 · ñ á é í ó ú ü",
    "fa": "شک به شکستگی · گچ پژوهش · ۰۱۲۳۴۵۶۷۸۹",
    "fr": "Fracture suspectée · cœur · ç à â é è ê ë î ï ô ù û ü ÿ « »",
    "ha": "Ana zargin karaya · ɓ ɗ ƙ ƴ",
    "hi": "हड्डी टूटने का संदेह · क्ष त्र ज्ञ श्र · ०१२३४५६७८९",
    "id": "Dicurigai patah tulang",
    "my": "အရိုးကျိုးသည်ဟု သံသယရှိသည်",
    "ne": "हाड भाँचिएको शङ्का · क्ष त्र ज्ञ",
    "pt": "Suspeita de fratura · imagem não lida · ã õ ç á é í ó ú â ê ô",
    "ru": "Подозрение на перелом · ёъыэ",
    "sw": "Inashukiwa kuvunjika · ng'",
    "ur": "ہڈی ٹوٹنے کا شبہ · ٹ ڈ ڑ ں ے · ۰۱۲۳۴۵۶۷۸۹",
    "vi": "Nghi ngờ gãy xương · ặ ẫ ợ ữ đ",
}


def sample(language: str) -> str:
    """Of a language like "pt" or "pt_BR"; "" for one that is not known here: its page is looked at alone."""
    return SAMPLES.get(language.replace("-", "_").split("_")[0].lower(), "")

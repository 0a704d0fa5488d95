"""Words of what this package does not do, by the reason for saying no (see reasons.py)."""

from __future__ import annotations

import re

OUTSIDE: dict[str, str] = {
    "reshape": "fuller|smaller|bigger|larger|narrower|wider|slimmer|thinner|slim|slimming|slim down|reshape|enlarge|"
    "shrink her|shrink his|shrink my|"
    "shrink the nose|narrow|widen|double chin|longer nose|shorter nose|straighter nose|crooked|symmetrical|"
    "symmetric|sharper jaw|jawline sharper|"
    "fatter|skinnier|skinny|lose weight|chubby|chubbiness|rounder|v shape|v shaped|nose job|facelift|face lift|"
    "lift her|lift his|lift the|lift my|"
    "cheekbones higher|higher cheekbones|fuller lips|plump|plumper|fat|taller|muscular|six pack|liposuction|"
    "botox|facial structure|face shape|"
    "shape of|hollow cheeks|elongate|straighten her nose|straighten his nose|straighten the nose|thicker|thicken",
    "makeup": "lipstick|mascara|eyeliner|eyeshadow|eye shadow|makeup|make up|foundation|lip gloss|lipgloss|"
    "contouring|highlighter|rouge|bronzer|"
    "blusher|concealer|nail polish|false lashes|fake lashes|face paint",
    "background": "background|backdrop|sky|wall|tree|trees|bystander|bystanders|people behind|man behind|"
    "woman behind|person behind|man standing|"
    "woman standing|person standing|guy behind|behind her|behind him|behind me|behind them|watermark|logo|"
    "photobomber|dog|cat|car|building|furniture|"
    "lamp|table|in the back|text overlay|caption|the man|other person|other people|stranger|tourist|tourists|"
    "pole|sign|floor|chair|curtain|lens flare|"
    "dust on the lens|sensor dust|plant|plants|horse|bird|window|object|objects",
    "whitening": "skin tone|skin color|skin whiter|skin lighter|whiten her skin|whiten his skin|whiten my skin|"
    "whiten the skin|whiten skin|"
    "lighten her skin|lighten his skin|lighten my skin|lighten the skin|lighten skin|lighten her complexion|"
    "lighten his complexion|lighten my complexion|"
    "lighten the complexion|darken her skin|darken his skin|darken my skin|darken the skin|darker skin|"
    "lighter skin|whiter skin|fair skin|fairer|"
    "whiter|paler|a tan|tan|tanned|bleach|shades lighter|shades darker|shade lighter|shade darker|pale|"
    "brown skin|skin darker|skin bleaching|"
    "lighten the face|lighten her face|lighten his face|whiten her face|whiten his face|whiten the face|"
    "darken her face|darken his face|darken the face|"
    "skin paler|change her race|change his race|ethnicity|white person|black person|two shades|melanin|"
    "brighter complexion|brighten her skin|"
    "brighten his skin|brighten my skin|brighten the skin|skin brighter",
    "age": "younger|older|years off|rejuvenate|rejuvenated|de age|deage|look 20|look 30|look 18|like a teenager|"
    "like a baby|like a child|age her|"
    "age him|age me|elderly|as an old|anti aging|facetune me young|look young|look old|into a baby|into a child|"
    "kid version|years back",
    "clothes": "shirt|dress|jacket|tie|hat|scarf|collar|blouse|suit|clothes|clothing|outfit|sweater|hoodie|"
    "shoes|pants|jeans|coat|cap|uniform|tshirt|"
    "t shirt|sleeve|sleeves|bra|naked|nude|undress|swimsuit|bikini|gown|skirt|socks|gloves|button|undress her|veil",
    "hair": "in the hair|in her hair|in his hair|in my hair|on the hair|off the hair|hairstyle|hairdo|hair color|"
    "hair longer|hair shorter|hair blonde|hair blond|hair red|hair brown|"
    "hair black|hair curly|hair straight|haircut|"
    "dye|dye her hair|dye his hair|dye my hair|bald|baldness|bangs|fringe|ponytail|gray hair|grey hair|"
    "gray hairs|grey hairs|volume to her hair|"
    "more hair|her hair|his hair|my hair|their hair|hair growth|receding|roots|wig|the hair color|curls|"
    "highlights in|braid|blonde|brunette",
    "features": "eyeball|eyeballs|eye ball|eye balls|teeth|tooth|eyelash|eyelashes|lashes|iris|irises|pupil|pupils|"
    "eye color|color of the eyes|"
    "red eye|red eyes|red eye effect|braces|gums|tongue|"
    "eyes blue|eyes green|eyes brown|blue eyes|green eyes|brown eyes|whites of the eyes|white of the eyes|"
    "eyes whiter|eyes brighter|brighten the eyes|brighten her eyes|"
    "brighten his eyes|brighten my eyes|sharpen the eyes|sharpen her eyes|sharpen his eyes|smile whiter|"
    "whiter teeth|yellow teeth|eyebrows|eyebrow hairs|unibrow|monobrow|redder lips|lips redder|"
    "lip color|eyes sparkle|bloodshot|bloodshot eyes|cross eyed|lazy eye|chapped lips|lip color|nose hair|"
    "nose hairs|ear hair",
    "accessories": "glasses|sunglasses|eyeglasses|spectacles|necklace|beard|moustache|mustache|stubble|goatee|"
    "sideburns|facial hair|earring|earrings|"
    "nose ring|piercing|piercings|jewelry|jewellery|headscarf|hijab|turban|headband|tattoo|tattoos|lip ring|"
    "choker|bandage|bandaid|mask|headphones|5 oclock shadow|five oclock shadow",
    "body": "on the back|on his back|on her back|on my back|scalp|arm|arms|hand|hands|neck|leg|legs|shoulder|"
    "shoulders|chest|knee|knees|belly|stomach|foot|feet|"
    "throat|elbow|elbows|finger|fingers|decolletage|cleavage|"
    "breast|breasts|butt|thigh|thighs|torso|nails|ear|ears|body|waist|hips|her back|his back|my back",
    "light": "brighten|brightness|brighter|exposure|contrast|saturation|saturate|white balance|sharpen|"
    "sharpness|sharper|crop|rotate|flip|resize|upscale|zoom|"
    "black and white|b and w|sepia|grayscale|greyscale|filter|vignette|hdr|vintage|noise|denoise|grain|"
    "overexposed|underexposed|too dark|too bright|lighting|"
    "light leak|colors pop|color grade|color grading|warmer|cooler|desaturate|blurry|out of focus|focus|"
    "resolution|4k|pixel|pixels|bokeh|depth of field|tint|hue|"
    "compress|aspect ratio|portrait mode|panorama|cartoon|oil painting|anime|watercolor|pencil sketch|sketch|"
    "film look|mirror the|shadows of the|highlights|png|jpeg|jpg",
    "identity": "swap|face swap|angelina jolie|brad pitt|celebrity|into another person|someone else|"
    "another person|look like a|look like an|turn her into|turn him into|"
    "turn me into|deepfake|gender|into a man|into a woman|into an|head on|different person|her face with|"
    "his face with|my face with|zombie|elf|vampire|superhero",
    "expression": "smile|smiling|laugh more|laughing|look happy|happier|look sad|sadder|look angry at|"
    "open her eyes|open his eyes|open my eyes|close her eyes|"
    "closed eyes|open the eyes|close his eyes|close my eyes|wink|gaze|look at the camera|turn her head|"
    "turn his head|turn the head|tilt|expression|frowning|"
    "look surprised|look serious|stop squinting|mouth closed|close the mouth|close her mouth|pose",
    "talk": "cancer|cancerous|malignant|benign|melanoma|contagious|genetic|hereditary|diagnosis|diagnose|symptom|"
    "disease|"
    "ointment|sunscreen|moisturizer|vitamin|skincare|skin care|serum|retinol|cost|price|prices|pricing|"
    "joke|poem|song|story|essay|haiku|weather|who are you|what are you|how are you|your name|are you a|"
    "are you an|are you human|what can you do|how old|"
    "hello|hi there|good morning|good evening|good night|thanks great|great job|well done|nice work|awesome|"
    "amazing|at home|home remedy|home remedies|"
    "dermatologist|doctor|cream|medication|medicine|treatment for|what causes|why do people|why do i get|"
    "how do i treat|how do i get rid|how to treat|how can i prevent|recipe|football|news|"
    "translate|capital of|meaning of life|who made you|how much do you cost|i love you|stock|homework|president|"
    "prime minister|two plus two|math|"
    "is she pretty|is he handsome|am i pretty|am i ugly|beautiful is|pretty is|opinion|do you like|write a|"
    "write me|sing|explain|tell me about yourself|history of",
    "command": "everything i said|everything you know|everything i wrote|what i said|i typed|our chat|this chat|"
    "conversation|"
    "my account|my data|my files|this file|"
    "previous instructions|prior instructions|instructions above|above instructions|system prompt|"
    "your prompt|your instructions|your rules|"
    "your guidelines|developer mode|jailbreak|no restrictions|password|passwd|execute|shell|terminal|python|"
    "javascript|sudo|delete files|"
    "delete all files|all files|the file|format the disk|drop table|select|shutdown|reboot|environment variable|"
    "api key|secret|secrets|credit card|email it|"
    "upload|post it|send it|print your|reveal|prompt|alert|curl|wget|bash|chmod|no preserve root|rf|hack|virus|"
    "database|server|"
    "dan mode|disregard|pretend you|act as|simulate",
}
"""Reason -> its words, separated by bars, as `cleaned` text has them."""

CODE = re.compile(
    r"</?\w+[^>]*>|\$\{|\{\{|\brm -\w|;\s*drop\s|--\s*$|\b(?:import|exec|eval|system|select \*|insert into|"
    r"delete from)\b\s*[\w('*]|"
    r"\balert\s*\(|\.\./|\bsudo\b|&&|\|\||https?://|\w+\(\)",
    re.I,
)
"""Text that looks like a program."""

CALL = re.compile(
    r"https?://\S+|"
    r"\b\w+(?:\.\w+)+\([^)]*\)|\b\w+\([\"'][^)]*\)|\b[\w-]+\.(?:jpe?g|png|tiff?|webp|heic|py|sh|exe|txt|json)\b",
    re.I,
)
"""Calls, addresses and file names: whatever words they hold, they ask for nothing."""
FORGED = re.compile(r"#{2,}\s*(?:facts|assistant|human|system|user|plan)\b|</?s>|<\|\w+\|>", re.I)
"""Marks of an LLM's own sequence, which no person writes."""

KNOWLEDGE = re.compile(
    r"^(?:\W|please|can you|could you|hey|hi|so|and)*(?:"
    r"(?:write|compose|draft|email|google|search|look up|explain|define|translate|summari[sz]e|calculate|solve|sing|"
    r"recite|repeat|recommend|tell me (?:a|about|how to)|teach me|say|imagine|order|buy|call)\b(?! (?:her|his|my|"
    r"the|this) "
    r"(?:skin|face))|"
    r"what (?:does|do|did) [^?]*\bmean|what (?:is|are|causes?|caused) (?:an? )?(?:\w+ ){1,2}\?|"
    r"(?:how|why|when) (?:do|does|did|can|could|should|would|long|often|much)\b (?:it |does it |do )?"
    r"(?:i|you|we|one|people|they|someone|take|doctors|dermatologists|models|most)?\b[^?]*\b(?:get rid of|remove|"
    r"removing|treat|cure|"
    r"prevent|get|heal|avoid|hide|cover|develop|fade|appear|form|happen|come|go away)\b|"
    r"(?:is|are|was) (?:this|that|these|those|it|the|my|her|his) [^?]*\b(?:normal|healthy|dangerous|serious|"
    r"permanent|hereditary|common|"
    r"rare|attractive|ugly|pretty|beautiful|cute|sexy|fashionable)\b|"
    r"(?:what|which|is there|are there|does|do|can|will|how) [^?]*\b(?:cures?|causes?|foods?|diet|lasers?|surgery|"
    r"treatments?|remedy|remedies|"
    r"vitamins?|creams?)\b|"
    r"(?:do|does|did|will|would|can) (?:people|men|women|models|most|some|doctors|dermatologists|anyone|celebrities|"
    r"lasers?|makeup|"
    r"freckles|moles|scars|wrinkles|pimples|acne|spots)\b|"
    r"(?:who (?!has|is)|when|whose|which (?:celebrity|actor|cream|doctor|brand|product))\b)"
)
"""What asks for knowledge or writing about a kind, not about this face."""

FOREIGN_WORDS: frozenset[str] = frozenset(
    [
        "bitte",
        "entferne",
        "entfernen",
        "pickel",
        "stirn",
        "die",
        "der",
        "das",
        "und",
        "auf",
        "falten",
        "narbe",
        "haut",
        "weg",
        "mach",
        "kannst",
        "du",
        "sommersprossen",
        "nase",
        "wange",
        "quita",
        "quitar",
        "las",
        "los",
        "por",
        "favor",
        "pecas",
        "elimina",
        "arrugas",
        "frente",
        "mejilla",
        "lunar",
        "el",
        "la",
        "del",
        "borrar",
        "quiero",
        "piel",
        "manchas",
        "enleve",
        "enlever",
        "les",
        "taches",
        "rousseur",
        "supprime",
        "boutons",
        "sur",
        "le",
        "retire",
        "cernes",
        "sous",
        "yeux",
        "cicatrice",
        "peux",
        "tu",
        "rides",
        "peau",
        "joue",
        "togli",
        "rimuovi",
        "rughe",
        "lentiggini",
        "dalla",
        "fronte",
        "macchie",
        "pelle",
        "viso",
        "il",
        "per",
        "favore",
        "remova",
        "retire",
        "manchas",
        "rosto",
        "pele",
        "tire",
        "olheiras",
        "espinhas",
        "verwijder",
        "sproeten",
        "alsjeblieft",
        "ta",
        "bort",
        "fregner",
        "usun",
        "piegi",
        "lutfen",
        "hapus",
        "xoa",
        "jerawat",
        "mun",
    ]
)
"""Common words of such requests in other languages; two of them, and none of ours, and it is not English."""


def outside_phrases() -> dict[str, str]:
    """Each phrase -> its reason."""
    out = {phrase: reason for reason, phrases in OUTSIDE.items() for phrase in phrases.split("|")}
    things = [
        p for p, reason in out.items() if reason in ("background", "clothes", "accessories", "body") and p.isalpha()
    ]
    return {f"{p}s": out[p] for p in things if not p.endswith(("s", "y", "x", "h", "people"))} | out


def looks_foreign(text: str, words: list[str]) -> bool:
    """Whether a text is in another script or language. words: its cleaned words, not yet put right."""
    letters = [c for c in text if c.isalpha()]
    if letters and sum(c.isascii() for c in letters) < len(letters) / 2:
        return True
    hits = sum(word in FOREIGN_WORDS for word in words)
    return hits >= 2 and hits >= 0.5 * len(words)

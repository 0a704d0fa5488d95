"""Words of instructions: what people call imperfections and places, and the verbs that say what to do with them.

Written as `cleaned` text has them (see spelling.py): lower case, no apostrophes, no hyphens between letters. A noun's
plural need not be listed.
"""

from __future__ import annotations

import re

from retouchgpt.core.vocabulary import IMPERFECTION_ALIASES, IMPERFECTIONS

WRINKLES = "wrinkles"
"""Lines of no named sort: their place decides which kind they are."""
CREASES = "creases"
"""Like WRINKLES, but without a place they are fine lines."""
GENERIC = "imperfections"
"""Anything on the skin that is not named."""
EVERYTHING = "everything"

MORE_KINDS: dict[str, str] = {
    "acne": "spotty|acne spot|acne mark|acne bump|pimply|pimple mark|bump|spotty skin|boil|comedone|clogged pore|zitty|"
    "cystic acne|breaking out|broke out|break out|acne prone|pus bump|red bump|white bump|black head|white head|"
    "goose pimple|skin bump|milia|pimpels|blemished|"
    "red spot|red dot",
    "freckles": "freckly|freckled|freckling|sun freckle",
    "spots": "sunspot|age spot|age mark|sun mark|brown mark|brown patch|dark patch|dark mark|dark spot|pigment|"
    "pigment spot|pigment patch|pigmentation spot|melasma|discoloration|discolouration|liver mark|"
    "uneven pigmentation|"
    "brown spot|old age spot|solar lentigo|lentigines|dark blotch",
    "moles": "beauty mark|beauty spot|beautymark|beautyspot|birth mark|birthmark|dark mole|nevus|skin tag",
    "scars": "scarring|scarred|scar tissue|scar line|pockmark|pock mark|pitted skin|acne scar|acne scarring|"
    "chicken pox mark|"
    "chickenpox scar|cut|scratch|pitting|pit",
    "redness": "acne redness|redness from acne|how red|all red|is red|are red|"
    "really red|look red|looks red|too red|so red|very red|a bit red|red patch|red area|red blotch|"
    "reddish|red skin|reddish patch|reddishness|reddish skin|blotchy|"
    "blotchiness|blotchy skin|blotch|flushed|"
    "flushing|flushed look|flush|ruddy|ruddiness|rosy patch|rosacea|irritation|irritated skin|inflammation|"
    "inflamed skin|sunburn|"
    "sunburnt skin|red face|rash|broken capillary|broken vein|spider vein|red mark|blushing|blush on the skin",
    "dark_circles": "dark ring|dark shadow under the eyes|raccoon eye|panda eye|tired eye|puffy eye|puffiness|"
    "eye bag|eyebag|"
    "bag under the eye|under eye bag|undereye bag|under eye circle|undereye circle|under eye shadow|"
    "undereye shadow|under eye darkness|"
    "undereye darkness|shadow under the eye|shadow under my eye|shadow under her eye|shadow under his eye|"
    "circle under the eye|"
    "eye circle|black circle|eye ring|eye shadow circle|sleepy eye|dark undereye|dark under eye|baggy eye|"
    "bluish ring|dark eye circle",
    "forehead_wrinkles": "forehead line|forehead wrinkle|worry line|frown line|brow line|forehead crease|"
    "forehead furrow|"
    "furrowed brow|brow furrow|worry wrinkle|11 line|eleven line|elevens|glabella line|glabellar line|"
    "frown mark|frown wrinkle|thinking line",
    "crows_feet": "crows feet|wrinkles around the eyes|wrinkles near the eyes|wrinkles by the eyes|"
    "wrinkles at the eyes|lines near the eyes|lines by the eyes|lines at the corners of the eyes|"
    "lines at the eyes|wrinkles at the corners of the eyes|crow feet|crows foot|crowfeet|eye wrinkle|eye line|"
    "crowsfeet|crows feets|squint line",
    "fine_lines": "fine line|fine wrinkle|tiny line|small wrinkle|laugh line|smile line|nasolabial fold|"
    "nasolabial line|nasolabial|laughter line|"
    "marionette line|lip line|smokers line|mouth line|smile crease|smile wrinkle|laugh wrinkle|faint line|"
    "dimple line|puppet line",
    "stray_hairs": "stray hair|stray|flyaway|fly away|flyaway hair|loose hair|loose strand|loose strand of hair|"
    "strand of hair|"
    "strand|hair strand|wisp|wisp of hair|wispy hair|fragmented hair|hair on the face|baby hair|peach fuzz|"
    "hairs|frizz|"
    "errant hair|escaped hair|messy hair on the face|facial fuzz|tiny hair|single hair|random hair|unruly hair|"
    "hair across|hair over|"
    "hair in|hair on|hair off|hairs off|hair sticking|hair falling|rogue hair",
    "shine": "shiny|shininess|shiny skin|shiny spot|shiny patch|oil|oily|oiliness|oily skin|oily look|greasy|"
    "grease|greasiness|greasy skin|greasy look|glare|"
    "hot spot|hotspot|sweat|sweaty|sweatiness|glistening|gloss|glossy|glossiness|perspiration|"
    "specular highlight|reflection on the skin|glisten|"
    "sheen|greasy shine|oily shine|skin shine|flash shine|too much shine|reflective",
}
"""Names of each kind beyond the vocabulary's own, separated by bars."""

LOOSE_KINDS: dict[str, str] = {
    WRINKLES: "wrinkle|line|furrow|wrinkly|wrinkled|wrinkle line|deep line|deep wrinkle|expression line|age line",
    CREASES: "crease|skin crease",
    GENERIC: "imperfection|flaw|defect|mark|skin flaw|skin imperfection|skin issue|skin problem|problem area|"
    "distraction|"
    "distracting|unevenness|facial imperfection|skin defect|issue|little thing|small thing|"
    "anything distracting|anything that distracts|whatever you find|whatever you see|what you find|anything unwanted",
    EVERYTHING: "whatever is|whatever there is|everything|all of it|the lot|"
    "all imperfection|every imperfection|any imperfection|"
    "all the imperfection|"
    "all flaw|every flaw|all the flaw|any flaw|all defect|every defect|every mark|every single mark|all mark|"
    "all the mark|"
    "every single imperfection|every single flaw|all skin imperfection|each imperfection|each and every imperfection|"
    "all facial imperfection|every single thing|the whole lot|all the skin imperfection|all skin flaw|"
    "all her imperfection|"
    "all his imperfection|all my imperfection|all of the imperfection|all of her imperfection|"
    "all of his imperfection|all of the flaw|"
    "all her flaw|all his flaw|all my flaw|every last imperfection|every last mark|all visible imperfection|"
    "all of the mark|all these mark|all the rest|the rest|all else|everything else|all other imperfection|"
    "all the other imperfection|"
    "the other imperfection|all the issue|everything on the skin|every little thing|"
    "every one of the imperfection|all imperfect",
}

PAIRS: dict[str, str] = {
    "cheek": "cheek|cheekbone|cheek bone|cheek area",
    "eye": "eye|eyelid|undereye|under eye|under eye area|eye area|eye region|under the eye|eye corner|"
    "eyelash line|eye socket|lower lid|lower eyelid",
}
"""Regions of which there are a left and a right one."""

SINGLE: dict[str, str] = {
    "forehead": "forehead|brow|brow area|temple|hairline|eyebrow|between the brows|between the eyebrows|"
    "between my brows|"
    "between her brows|between his brows|between my eyebrows|between her eyebrows|between his eyebrows|"
    "forehead area|glabella|"
    "between her eyes|between his eyes|between my eyes|between the eyes",
    "nose": "nose|nostril|nose bridge|bridge of the nose|bridge of her nose|bridge of his nose|"
    "bridge of my nose|tip of the nose|"
    "tip of her nose|tip of his nose|tip of my nose|nose area|nose tip|nasal area|side of the nose|"
    "sides of the nose|nose wing",
    "mouth": "mouth|lip|upper lip|lower lip|lips area|lip area|mouth area|corner of the mouth|"
    "corner of her mouth|corner of his mouth|"
    "corner of my mouth|corners of the mouth|mouth corner|philtrum|around the lips|mouth region",
    "chin": "chin|jaw|jawline|jaw line|lower face|chin area|jaw area",
    "face": "face|skin|complexion|whole face|entire face|everywhere|full face|all over|overall|whole skin|"
    "entire skin|portrait",
    "t zone": "t zone|tzone",
    "center": "center|centre|middle|center area|centre area|middle area|middle part|center part|central part|"
    "central area|center region|middle region|"
    "center of the face|middle of the face|centre of the face|center of her face|middle of his face|"
    "middle of her face|center of the image|"
    "middle of the photo|middle of the picture|middle of the image|center of the photo|center of the picture",
}
"""Regions of which there is one; `t zone` is forehead and nose."""

GRID_ENDS: tuple[str, ...] = (
    "area",
    "part",
    "corner",
    "side",
    "half",
    "third",
    "region",
    "portion",
    "section",
    "quadrant",
    "zone",
)
VERTICAL: dict[str, str] = {"top": "top", "upper": "top", "bottom": "bottom", "lower": "bottom"}
WHOLES: frozenset[str] = frozenset({"face", "image", "photo", "picture", "frame", "portrait", "shot", "pic"})

REMOVE: str = (
    "dont want to see|do not want to see|not want to see|cannot stand|cant stand|remove|removed|removing|"
    "removal|nix|axe|purge|delete|deleted|erase|erased|get rid of|getting rid of|got rid of|rid of|"
    "rid|clear|cleared|clear up|"
    "clear away|take out|taken out|taking out|take away|taken away|take off|taken off|take|taken|zap|nuke|heal|"
    "healed|spot heal|eliminate|eliminated|drop|lose|kill|"
    "wipe|wipe out|wipe away|hide|hidden|conceal|cover up|cover|edit out|edited out|photoshop out|"
    "photoshop away|photoshop|clone out|clone|vanish|"
    "disappear|disappeared|go away|should go|should all go|has to go|have to go|must go|must all go|need to go|"
    "needs to go|can go|gotta go|may go|"
    "got to go|go|goes|gone|no more|not be visible|not visible|invisible|banish|strip|eradicate|scrub|brush out|"
    "airbrush|airbrush out|airbrush away|"
    "brush away|rm|del|begone|be out|out|off|matte|mattify|pluck|pop|blast|obliterate|dissolve|vanished|bye bye|bye|no|"
    "wash away|paint out|patch|"
    "barely visible|hardly visible|make go away|go bye bye|done away with|do away with|ditch|toss|cut out|rub out|"
    "polish away|polish out|"
    "retouch away|retouch out|sweep away|smooth out|"
    "smooth away|iron out|tidy away|magic away|make disappear|yeet|poof|away"
)
SOFTEN: str = (
    "halve|halved|halving|get down|knock|dial down|dialed down|scale down|scale back|bring it down|soften|softened|"
    "softening|reduce|reduced|"
    "reducing|fade|faded|lighten|lightened|tone down|toned down|tone|"
    "take down|taken down|mute|muted|diminish|diminished|"
    "minimize|minimise|smooth|smoothed|calm|calm down|decrease|lessen|lower|ease|weaken|subdue|even out|"
    "evened out|knock back|"
    "knock down|cut|less|less visible|less noticeable|less obvious|less pronounced|fainter|softer|lighter|"
    "milder|subtler|bring down|brought down|turn down|play down|"
    "downplay|dull|tame|blend|dim|reduction|make softer|thin out|take the edge off|dampen|damp down|pull back|"
    "relax|fade out|fading|calmed|shrink|blur|down"
)
CLEAN: str = (
    "retouch|retouched|retouching|touch up|touchup|touched up|touching up|clean up|cleanup|cleaned up|"
    "cleaning up|clean|cleaned|fix|fixed|fix up|"
    "improve|improved|enhance|perfect|polish|beautify|beautified|refine|take care of|taken care of|deal with|"
    "handle|edit|work on|sort out|treat|correct|"
    "tidy up|tidy|tidied up|do your magic|work your magic|do your thing|freshen up|"
    "make look good|make look better|make look great|"
    "make look nice|look good|look better|look great|"
    "look nice|look flawless|look clean|look fresh|look clear|flawless|spruce up|do a touch up|pretty up|"
    "do something about|do anything about|something about|sort|glow up|tidy up the skin|do|address|attend to|magic|"
    "make perfect|look perfect|look its best|look my best|look her best|look his best|clear skin|smooth skin|"
    "nicer|prettier|spotless|pristine"
)
KEEP: str = (
    "shouldnt touch|mustnt touch|cannot touch|cant touch|should not touch|must not touch|keep|never mind|"
    "nevermind|forget about|keeping|kept|leave|leaving|left alone|preserve|preserving|retain|"
    "retaining|dont touch|do not touch|"
    "not touch|not touching|dont remove|"
    "do not remove|not remove|not removing|dont change|do not change|never touch|never remove|dont delete|"
    "do not delete|dont erase|do not erase|dont edit|dont retouch|do not retouch|"
    "do not edit|dont alter|do not alter|dont take|do not take|dont lose|do not lose|dont want to lose|"
    "hands off|without removing|without touching|"
    "without losing|without changing|without affecting|without altering|without deleting|without erasing|spare|"
    "sparing|skip|skipping|dont mess with|do not mess with|protect|protecting|"
    "dont get rid of|do not get rid of|never get rid of|stay away from|steer clear of|respect|maintain|"
    "maintaining|dont soften|do not soften|dont reduce|"
    ""
    "dont clean|dont fix|please no touching|"
    "dont smooth|do not smooth|conserve|hang on to|hold on to|ignore|ignoring|dont you dare touch|"
    "dont you dare remove|nothing should change|nothing changes|"
    "not to touch|not to remove|not to edit|not to change|not to alter|not to delete|"
    "fine with|okay with|ok with|at peace with|doesnt mind|does not mind|dont mind|do not mind|"
    "change nothing|touch nothing|no changes|no change|excluding|exclude|leave out"
)
"""Verbs of keeping, which stand before what is kept."""
EXCEPT: str = (
    "except|except for|except from|apart from|other than|save for|minus|besides|but not|not|"
    "with the exception of|everything but|all but|"
    "everywhere but|anywhere but|everywhere except|all over but|"
    "aside from|rather than|instead of|barring|bar|just not|only not|excepting|anything but|nothing but the"
)
"""Words after which an exception to the edit follows."""
KEPT: str = (
    "must not be touched|should not be touched|shouldnt be touched|not be touched|not be removed|must not be removed|"
    "should not be removed|shouldnt be removed|mustnt be touched|mustnt be removed|not to be touched|"
    "not to be removed|"
    "should not go|must not go|cannot go|should not be changed|must not be changed|not be changed|not be edited|"
    "stay|stays|must stay|should stay|has to stay|have to stay|needs to stay|need to stay|can stay|remain|"
    "remains|untouched|"
    "intact|off limits|stay put|unchanged|stays put|are fine|is fine|are ok|is ok|are okay|is okay|unedited|"
    "unretouched|be kept|be preserved|be left|"
    "be left alone|as is|stays as it is|stay as it is|stay as they are|stays the way it is|stay the way they are|"
    "are cute|is cute|are lovely|to stay|is staying|are staying|excepted|excluded|not included|may stay|may remain|"
    "will stay|shall stay|gets to stay|get to stay|keep as is|leave as is|as they are|as it is"
)
"""Words that keep what stands before them."""
TOUCH: str = (
    "touch|touched|touching|affect|affected|change|changed|alter|altered|harm|harmed|mess with|go near|interfere with|"
    "meddle with|tamper with|come near|lay a finger on|disturb|ruin|destroy|mess up"
)
"""Verbs that under a negation keep, and otherwise say nothing: "I wouldn't want the moles touched"."""
WORSEN: frozenset[str] = frozenset(
    re.split(
        r"\|",
        "darken|deepen|enhance|accentuate|emphasize|emphasise|exaggerate|intensify|amplify|highlight|increase|boost|"
        "strengthen|enlarge|sharpen|define|multiply",
    )
)
"""Verbs that, before an imperfection, ask for more of it."""
FOND: str = "love|loves|like|likes|proud of|adore|adores|attached to|fond of"
"""Not a request by themselves; what is loved and then kept by "them"."""
SEE: str = (
    "see|notice|find|detect|is there|are there|there any|count|list|describe|how many|how much|tell me|what|"
    "which|where|spot any|"
    "how bad|how visible|does|has|identify|name|report|point out|analyse|analyze|inspect|check|look at|examine|"
    "assess|do you see|can you see|"
    "any sign of|signs of|how is|hows|whats|have you found|did you find|do i have|have i|got any|how noticeable|"
    "how strong|show me where|locate"
)
ADD: str = (
    "fake|faking|simulate|draw in|paint in|add|adding|put on|put some|give|draw|paint|"
    "apply|insert|place|create|generate|with more|put a|put"
)
ASKING: frozenset[str] = frozenset(
    [
        "is",
        "are",
        "does",
        "do",
        "did",
        "has",
        "have",
        "what",
        "which",
        "where",
        "how",
        "any",
        "can",
        "could",
        "would",
        "will",
        "should",
        "was",
        "were",
        "whats",
        "hows",
    ]
)
"""First words of questions."""

FRAGMENT: frozenset[str] = frozenset(
    re.split(
        r"\s+",
        "the a an her his my their your our its this that these those some any all both each every another other "
        "one two three four five six few couple several on in at of under around near between above below beneath "
        "by next to with from over along across beside behind inside outside for and or plus also then now here "
        "there please thanks thank you hi hey hello ok okay yo dude bro help ugh ew eww omg lol so many much too very "
        "really way much just only even still big small tiny huge large little nasty ugly annoying horrible awful "
        "terrible bad gross deep dark fine light old new red visible obvious i me we hate cannot stand is are "
        "look looks looking bit again first second third finally last as well quick pair same kind sort bunch "
        "cluster patch lot lots can could would may might be it them dear team cheers guys sir maam need needs "
        "want wants wanted should must up s t m re make strength mean thing things own percent half quarter about "
        "back model models whole entire main most more ever such sick tired embarrassing embarrassed dislike "
        "distracting",
    )
)
"""Words that may stand around a kind without a verb when it is a request: "two nasty zits on my chin, please"."""

OBJECTS: frozenset[str] = frozenset(
    re.split(
        r"\s+",
        "it this that these those all everything photo photos picture pictures pic pics portrait portraits image "
        "images shot "
        "shots selfie headshot photograph snapshot me her him them us look looks person people girl boy woman man "
        "lady guy "
        "gentleman kid child baby bride groom couple model client customer mother mom mum father dad son daughter "
        "sister brother "
        "wife husband friend grandma grandpa grandmother grandfather boss actor actress candidate subject lot "
        "things thing rest "
        "areas area spots zone half side part pores texture up bit little one ones file",
    )
)
"""What a clean-up may be asked of without a kind or place: "retouch my daughter"; "fix her posture" is none of it."""

QUALITY: frozenset[str] = frozenset(
    re.split(
        r"\s+",
        "whole entire full last first next new old lovely beautiful own little small poor tired dear best "
        "profile wedding "
        "passport family school group linkedin dating cv press cover other same right left upper lower visible "
        "attached",
    )
)
"""Words between a determiner and the thing it is about."""
PASSING: frozenset[str] = frozenset(
    re.split(
        r"\s+",
        "sun light wind way morning moment future meantime past shoot middle center day night weekend heat cold "
        "rain flash "
        "wedding party prom trip beach flight mask surgery accident operation fall childhood birth last bike start "
        "beginning end "
        "front angle distance first second final next whole same other world life mirror edit version retouch style "
        "sense "
        "case event name list order hope process background meeting interview passport website cover card album "
        "print series "
        "session studio school office team family bottom top left right upper lower one ones two three four few rest",
    )
)
"""What may follow "in the", "on the" or "from the" without being where an imperfection lies: "redness from the sun"."""
OWN: str = (
    "my own|her own|his own|their own|the subjects|subjects|the models|models|the persons|persons|the patients|"
    "anatomical|anatomically|"
    "from her perspective|from his perspective|from their perspective|from her point of view|from his point of view|"
    "from their point of view|from her side|from his side|his perspective|her perspective|their perspective|"
    "not mine|not yours|not your|not the viewers|the sitters|sitters|stage|"
    "the clients|the ladys|the mans|the womans|the girls|the boys|the brides own|the grooms own|"
    "from the subjects|subject|not ours|not our|not as i see it|not as you see it|not as we see it"
)
"""Words that make left and right the subject's."""
VIEWER: str = (
    "viewers|the viewers|camera|screen|picture|photo|image|as i look|as i see it|as seen|as you look|as we look|"
    "from my view|in the photo|"
    "in the picture|from the viewers|from the camera|from the cameras"
)
THESE: frozenset[str] = frozenset(
    ["it", "them", "these", "those", "that", "this", "both", "all", "there", "they", "here", "ones", "one"]
)
"""Words that point back to what was named before."""


def forms(phrase: str) -> set[str]:
    """The phrase, and the plural of its last word."""
    if phrase.endswith(("s", "y")) and not phrase.endswith(("ey", "ay")):
        plural = phrase[:-1] + "ies" if phrase.endswith("y") else phrase
    else:
        plural = phrase + ("es" if phrase.endswith(("ch", "sh", "x", "ss")) else "s")
    return {phrase, plural}


def kind_phrases() -> dict[str, str]:
    """Every name of an imperfection -> its kind, or WRINKLES, CREASES, GENERIC, EVERYTHING."""
    out: dict[str, str] = {}
    for kind in IMPERFECTIONS:
        names = [kind.replace("_", " "), *IMPERFECTION_ALIASES.get(kind, ()), *MORE_KINDS[kind].split("|")]
        for name in names:
            plain = name.replace("'", "").replace("-", " ")
            out.update(dict.fromkeys(forms(plain), kind))
    for loose, names_ in LOOSE_KINDS.items():
        for name in names_.split("|"):
            out.update(dict.fromkeys(forms(name), loose))
    return out

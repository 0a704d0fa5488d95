"""Roundabout turns of phrase, put into the plain words that the grammar reads: "I'd hate to lose X" -> "do not lose X".

Each rule is a class of phrasing, not a sentence. They work on cleaned words (see spelling.py) joined by blanks: lower
case, no apostrophes, marks standing alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

NOT = r"(?:dont|do not|doesnt|does not|didnt|did not|wouldnt|would not|wont|will not|shouldnt|should not|never)"
OFF = (
    r"(?:remove|erase|delete|take out|take away|take off|get rid of|eliminate|wipe out|zap|drop|lose|clear|heal|edit "
    r"out|kill)"
)
OFF_ING = (
    r"(?:removing|erasing|deleting|taking out|taking away|taking off|getting rid of|eliminating|touching|changing|"
    r"editing|losing|altering|retouching|softening|clearing)"
)
SOFTEN = r"(?:soften|fade|reduce|tone down|lighten|weaken|lessen|mute|calm|smooth|dim|ease)"
ALONE = r"(?: as (?:it|they) (?:is|are)| as is| alone| untouched| the same| intact| unchanged)"
BUT = r"(?:but(?! not)|except(?: for)?|apart from|besides|other than|aside from|save for|with the exception of|bar)"
TOUCH = r"(?:touch|touched|change|changed|remove|removed|edit|edited|alter|altered|delete|erase|retouch|do|fix|gone)"
MIDDLE = r"((?:(?![,.;:!?] )\S+ ){1,6}?)"
"""One to six words of one clause."""

_TENS: dict[str, int] = {
    "ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90,
}  # fmt: skip

Replacement = str | Callable[[re.Match[str]], str]

RULES: tuple[tuple[str, Replacement], ...] = (
    (r"\bas well as\b", "and"),
    # politeness that sounds like a strength or a verb
    (r"\b(?:only )?if (?:its|it is|it isnt|thats|that is|that isnt)(?: not)?(?: too much| any| much| no| an?)? "
     r"(?:trouble|bother|problem|hassle|work|ok|okay|possible|all right|alright)\b", "please"),
    (r"\b(?:its )?no (?:rush|hurry|problem|worries|big deal|offense|biggie|pressure)\b", "please"),
    (r"\bright (?=between|under|below|above|beside|in the middle|there|here|by the|on the|at the|near)", ""),
    (r"\b(?:can|could|will|would) (?:you|anyone|someone|anybody)(?: please)? help(?: me| us)?(?: out)?(?: with "
     r"(?:this|it|that))?(?= \?|$)",
     "please"),
    (r"\bnothing too (?:heavy|strong|much|crazy|dramatic|drastic|obvious)\b", "please"),
    # reminders: negative in form alone
    (rf"\b(?:please )?{NOT} (?:you )?(?:forget|hesitate|fail|neglect|be afraid|be shy)(?: to| about)?\b", "also"),
    (r"\b(?:make|be) sure(?: that| to| you)*(?= )|\bsee to it that\b|\b(?:feel free|go ahead and|you are free)(?: "
     r"to)?\b",
     "please"),
    (rf"\b{NOT}(?: ,)? (?:under any circumstances?|in any case|by any means|at any cost|please|whatever you do)(?: "
     rf",)?", "do not"),
    # what is of no concern
    (r"\b(?:forget|never mind|nevermind|(?:dont|do not|no need to) (?:worry|bother|mind))(?: about| with| over)? "
     r"(?=(?:the|her|his|my|those|these|their)\b)",
     "keep "),
    (r"\b(?:under no circumstances?|on no account|in no case|by no means|at no point)(?: should| must)?(?: you| "
     r"we)?(?: ever)?\b", "do not"),
    (rf"\b{NOT} make {MIDDLE}(?:vanish|disappear|go away)\b", r"keep \1"),
    (rf"\b{NOT} (?:really )?care (?:about|for)\b", "keep"),
    (r"\b(?:no|none of the|not one of the|not a single|not one) ((?:\w+ ){1,3}?)(?:were|was|is|are|should|must|may|"
     r"shall|needs?|has|have)"
     r"(?: (?:meant|supposed|to|be|get|been))* (?:removed|lost|touched|gone|erased|deleted|go|changed|"
     r"edited)\b", r"keep \1"),
    # wishes
    (r"\bit (?:would|will|d) be (?:really |so |very |absolutely )?(?:awesome|great|nice|cool|amazing|lovely|perfect|"
     r"good|better|wonderful|fantastic) (?:if|to|without)(?! you (?:removed?|didnt))",
     "please"),
    (r"\b(?:wasnt|werent|isnt|arent|was not|were not|is not|are not) (?:there|here|visible|noticeable|in the (?:photo|"
     r"picture))\b", "gone"),
    (rf"\b(?:would|is|could) ({OFF_ING} [^?]*?) be (?:possible|ok|okay|doable|feasible|an option)\b", r"please \1"),
    (r"\b(?:anything|whatever|everything|all)(?: that| which)? (?:looks|look|resembles|resembling|looking)(?: "
     r"like)?(?: an?)? ", "any "),
    # where
    (r"\b(?:smack |right |dead |bang |just )?in the (?:middle|center) of (?=(?:the |her |his |my |their "
     r")?(?:forehead|nose|chin|left|right|cheek))", "on "),
    (r"\bleft (?=by|from|behind)|(?<!the )(?<!her )(?<!his )(?<!my )(?<!upper )(?<!lower )(?<!on )(?<!own )\bleft "
     r"(?=on (?:the|her|his|my))", ""),
    (r"\b(left|right) (and|or) (?:the |her |his |my |on the )?(left|right) (cheek|eye)s?\b", r"\1 \4 \2 \3 \4"),
    (r"^do (?=(?:her|his|my|their|the) \w+ (?:look|seem|appear|have|show)\b)", "does "),
    (r"\beyes (?:look|looks|are|seem|looking)(?: so| really| very| a bit| too)* (tired|puffy|baggy|"
     r"sleepy)\b", r"\1 eyes"),
    (r"\bno cap\b", "please"),
    (r"\bget ((?:the|that|those|this|these|her|his|my|all|any) (?:\w+ ){1,3}?)(off|out|away)\b", r"remove \1\2"),
    # what was done, or can be done, is no request
    (rf"\b(great|good|bad|best|better|useful|terrible|apps?|tools?|software|tutorials?|tips?|tricks?|ways?) (?:is |"
     rf"are )?(?:at|for|about|on|of|in) {OFF_ING}\b",
     r"\1 at did"),
    (r"\b(?:had|has had|have had|got) ((?:a|an|the|his|her|my|some|two) (?:\w+ ){1,3}?)(?:removed|erased|lasered|"
     r"treated|taken off|"
     r"taken out)\b(?! (?:please|now))", r"had \1"),
    (r"\b(i|we|you|they|he|she)(?: have| had| has| already| just|ve)* (?:removed|erased|deleted|retouched|softened|"
     r"cleared|zapped)\b"
     r"(?! (?:if|would))(?<!if you removed)", r"\1 did"),
    # not completely, but softer
    (rf"\b(?:{NOT}) {OFF} {MIDDLE}(?:completely|entirely|fully|totally|altogether|all the way)\b(?: (?:,|but|just|"
     rf"only))*"
     rf"(?: {SOFTEN} (?:it|them|those|that))?", r"soften \1"),
    (rf"\b(?:{NOT}|instead of|rather than) (?:{OFF}|{OFF_ING}) {MIDDLE}(?:, )?(?:(?:just|only|but|please|rather|"
     rf"instead) )*"
     rf"({SOFTEN}) (?:it|them|those|that)\b", r"\2 \1"),
    # what is left standing
    (r"\b(?:leave|keep) (?:about |around |only |just )?(\d+) % of ((?:\w+ ){0,3}?\w+)(?= [,.;!]|$| and\b| but\b)",
     r"reduce \2 to \1 %"),
    (r"\b(?:leave|keep) (?:about |only |just )?(?:a )?half (?:of )?(?=the|her|his|my)", "reduce by half "),
    (r"\b(?:leave|keep) (?:just |only )?(?:a (?:bit|little|little bit)|some) of (?=the|her|his|my|"
     r"that)", "reduce by 60 % "),
    (r"\b(?:leave|keep) (?:just |only )?a (?:hint|touch|trace|tiny bit) of (?=\w)", "reduce by 70 % "),
    (r"\bnothing ((?:on|in|around|at|near|under) (?:\w+ ){1,3}?)(?:should|must|may|can|is to|shall) (?:be "
     r")?(?:changed?|touched|edited|removed|"
     r"go|altered)\b", r"do not touch \1"),
    # nothing but these
    (rf"\b(?:leave|keep|{NOT} {TOUCH}|{NOT} want) (?:everything|anything|all|it all)(?: else)?(?: {TOUCH})?(?:{ALONE})*"
     rf"(?: ,)? {BUT}\b", "only remove"),
    (rf"\b(?:{TOUCH} nothing|nothing (?:should|must|may|can|is to|has to) (?:go|change|be \w+))(?: else)? {BUT}\b",
     "only remove"),
    (r"\bnothing (?:but|except|besides|other than)\b", "only remove"),
    # negated wishes
    (r"\b(?:there is |theres |there was |i see |i have )?no (?:need|reason|point|necessity|cause|use)(?: at all)? "
     r"(?:to|in|for)\b",
     "do not"),
    (rf"\b{NOT} (?:need|have|want|wish|intend|mean|care|like|plan|try)(?: you| us| them| anyone)? to (?!see\b|"
     rf"have\b|know\b)",
     "do not "),
    (r"\b(?:need not|neednt|rather not|prefer not(?: to)?|better not|try not to|careful not to|so as not to|not "
     r"to)\b", "do not"),
    (r"\bhate (?:to see|seeing) (?=(?:\w+ ){1,5}(?:go|gone|removed|disappear|vanish|erased|"
     r"deleted)\b)", "do not want "),
    (r"\b(?:hate|hates|be sad|be sorry|be upset|regret|be a shame|be a pity) (?:to|if (?:you|we|they)) "
     r"(?!see\b)(?=\w)", "do not "),
    (r"\b(?:hate|hates|be (?:really |so |very )?(?:sad|sorry|upset|devastated|furious|mad|angry|heartbroken|unhappy|"
     r"crushed|a shame|a pity)) "
     r"(?:for|it if|if) ", "do not want "),
    (r"\b(?:hate|hates|regret) losing\b", "do not lose"),
    (r"\b(?:rather|prefer)(?: that)? (?:you|we|they) (?:didnt|did not|dont|do not)\b|\bnever (?:said|asked|told "
     r"you)(?: you)? to\b",
     "do not"),
    (rf"\b(?:refrain from|avoid|without|stop|no|not|rather than|instead of) (?={OFF_ING} (?!anything|a "
     rf"thing))", "do not remove by "),
    (rf"\byes to(?: {OFF_ING})?\b", "remove"),
    (r"\bno to (?=the|her|his|my|removing|\w+ing)", "do not remove "),
    (rf"\bdo not remove (?:by )?{OFF_ING}\b", "do not remove"),
    (rf"\b{NOT} let {MIDDLE}(?:disappear|vanish|go away|go|fade|get lost|get removed|be removed|be lost|be touched)\b",
     r"keep \1"),
    (r"\blet (?:her|him|me|us|them) keep\b", "keep"),
    (rf"\blet {MIDDLE}(?:be|stay|remain|live|alone)\b(?! (?:removed|gone|softened|erased|taken|reduced))", r"keep \1"),
    (r"\bget(?:s|ting)? (?=removed|erased|deleted|touched|lost|edited|changed|softened)", "be "),
    (r"\b(?:dont|doesnt|do not|does not) (?:bother|matter|disturb|trouble)(?: \w+)?\b", "should stay"),
    (r"(?<=\w)(?<!\bshe)(?<!\bhe)(?<!\bi)(?<!\bthey)(?<!\bwe)(?<!\byou) (?:dont|doesnt|do not|does not)(?= [,.;!]|"
     r"$)", " should stay"),
    (r"\b(?:wish|like|want) to keep\b", "keep"),
    # dislike
    (r"(?<!to )\b(?:bothers?|annoys?|disturbs?|irritates?)(?: me| her| him| us)?\b|\b(?:is|are) (?:really |so |very "
     r")?(?:bothering|annoying|bugging|"
     r"driving)(?: me| her| him| us)?(?: crazy| nuts| mad)?\b", "should go"),
    (r"\b(less|so|too|very|really|pretty|rather|all|a bit|a little) red\b(?! (?:spot|dot|bump|mark|patch|blotch|"
     r"area|skin|eye|face|vein))",
     r"\1 redness"),
    (rf"\b{NOT} (?:really |much |particularly )?(?:like|love|care for|fancy)\b(?! to\b)", "hate"),
    (r"\bnot (?:a |really |exactly |too |so |very |that |much of a |much )*(?:fan of|happy with|happy about|fond of|"
     r"keen on|"
     r"pleased with|thrilled (?:about|with|by)|into)\b", "hate"),
    # exceptions
    (r"(?<=,) save (?=the ones?\b|those\b|that one\b)", " except "),
    (r"(?:\b(?:but|and)|[,;]) (?:nothing|none|not any)(?: of)?(?: that is)? (?=on|in|around|at|under|near|"
     r"by)", "but not "),
    (r"\b(?:but )?unless (?:its|it is|theyre|they are|that is|he|she)? ?(?=on|in|around|at|under|near|by)", "except "),
    # strength
    (r"\b([1-9]) / ([1-9]\d?)(?: th| rd)?\b(?! "
     r"/)", lambda m: f"{100 * int(m[1]) / int(m[2]):.0f} %" if int(m[1]) < int(m[2]) else m[0]),
    (r"\bto (?:about |around )?(?:a|one) (third|quarter|fifth|tenth)\b",
     lambda m: {"third": "to 33 %", "quarter": "to 25 %", "fifth": "to 20 %", "tenth": "to 10 %"}[m[1]]),
    (r"\b(?:quite a bit|a good bit|a fair bit|a whole lot|a great deal|a good deal|loads|tons|a ton)\b", "a lot"),
    (r"\b(?:just |only )?the (?:tiniest|slightest|smallest|least) (?:bit|touch|hint)\b", "very slightly"),
    (r"\b(twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety) (five)(?= %)", lambda m: str(_TENS[m[1]] + 5)),
    (r"\b(ten|fifteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?= %)", lambda m: str(_TENS[m[1]])),
    (r"\b(?:wipe|make|get|leave|have) ((?:the|her|his|my|this) (?:face|skin|complexion)) (?:all |completely "
     r")?(?:clean|clear|spotless)\b",
     r"clean up \1"),
    # more of it
    (r"\b(?:bring|bringing) out\b|\bplay(?:ing)? up\b", "enhance"),
    (rf"\bbring {MIDDLE}out\b", r"enhance \1"),
    (r"\bmake (?!.*\b(?:skin|lips?|hair|eyes?|photo|picture|image|face)\b)((?:\w+ ){1,4}?)(?:stand out|pop|deeper|"
     r"darker|bigger|larger|"
     r"redder|shinier|bolder|thicker|more (?:visible|prominent|noticeable|pronounced|obvious|intense))\b", r"add \1"),
    (r"\bboth (?:the|her|his|my) (\w+(?: \w+)?) and (?:the|her|his|my) ", r"the \1 and "),
    # the other of a pair
    (r"\b(left|right) (cheek|eye) (and|or|nor) (on |in |under |around )?(?:the |her |his |my )?(left|right)(?: one)?"
     r"(?! (?:cheek|eye|side|corner|half|part|of))\b", r"\1 \2 \3 \4\5 \2"),
    # questions in other forms
    (r"\b(?:give|get|show|send|make|write) (?:me|us) (?:an? |the |your )?(?:quick |short |full |complete "
     r")?(?:overview|summary|list|rundown|report|"
     r"description|inventory|breakdown|assessment|analysis)(?: of| on| about)?\b", "list"),
    (r"\bshow (?:me|us) (?=(?:the|her|his|my|all|any|every|each|those|these)\b)"
     r"(?!.*\b(?:without|no|minus|gone|removed|before|after|original|look|looks)\b)", "list "),
    (r"\b(?:i|we|they|he|she)(?: just| only| really| would| d)? ?(?:want|need|wanted|like|love)s? to (?:know|hear|"
     r"learn|find out|understand) "
     r"(?=whether|if|what|which|how|where|about)", "tell me "),
    (r"\b(?:id|wed|i would) (?:like|love) to (?:know|hear|learn|find out) (?=whether|if|what|which|how|where|"
     r"about)", "tell me "),
    (r"\b(?:i )?(?:wonder|was wondering|am wondering|curious)(?: to know)? (?:whether|if) (?!you |we |it would|it "
     r"is possible|its possible|i c|there is a way)",
     "tell me if "),
    (r"\bthere (is|are) no\b(?! (?:need|way|reason))", r"there \1 any"),
    (r"\b(?:without (?:editing|changing|touching|retouching|altering|removing)|before (?:you |we )?(?:edit|editing|"
     r"change|changing|touch|start|starting|retouching)|"
     rf"{NOT} (?:change|edit|touch|retouch|remove|alter|fix|do)|no (?:edits?|changes?|editing|retouching))(?: "
     rf"anything| a thing| it| the \w+)?"
     r"(?: yet| now| for now| please)* (?:, |: |; |\. |- |and |but )?(?=(?:(?:just|only|please|first|can you|could "
     r"you) )*(?:tell|say|list|describe|show|count|"
     r"look|check|what|which|where|how|is there|are there|is|are|does|do you|has|any)\b)", ""),
)  # fmt: skip
"""Pattern -> plain words, applied in this order."""


@lru_cache(maxsize=1)
def _compiled() -> tuple[tuple[re.Pattern[str], Replacement], ...]:
    return tuple((re.compile(pattern), new) for pattern, new in RULES)


def plain_words(said: str) -> str:
    """Words joined by blanks -> the same request in the grammar's words."""
    for pattern, new in _compiled():
        said = pattern.sub(new, said)
    return " ".join(said.split())

"""Rules for the slots of spoken requests (snips), written from the names of the slots and what one says to a speaker.

No gold label was read for them. A rule is a slot, a condition on the request (it has to be found somewhere) and an
expression whose first group, or else the whole of it, is the slot's value. Requests are tokens in lower case joined by
single blanks. Where rules overlap, the first has the token. There is no rule for `poi`, whose values are only told from
`geographic_poi` by convention.
"""

from __future__ import annotations

import re

NUMBER = r"(?:\d+(?:\.\d+)?|zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
RATE = r"\b(rate|rating|give|stars?|points?)\b"
ADD = r"\bplaylist\b|\badd\b|\bput\b"
BOOK = r"\b(book|reserve|reservations?|table|restaurant|eat|dine|seats?|party)\b"
WEATHER = (
    r"\b(weather|forecast|rain\w*|snow\w*|cold\w*|hot\w*|warm\w*|sunny|temperature|humid|chilly|windy?|storm\w*|cloudy)"
    r"\b"
)
PLAY = r"\b(play|listen|hear|music|songs?|tunes?)\b"
FIND = r"\b(find|search|look|show|get|see|watch|where)\b"
SCREEN = r"\b(movies?|films?|theat(?:er|re)s?|cinemas?|playing|showing|showtimes|movie house)\b"
ANY = r""
END = r"(?= (?:to|on|onto|from|in|into|for|using|with|at|by|playlist)\b|$)"
THING = (
    r"(?:tv show|tv series|television show|video game|movie|novel|book|essay|textbook|song|album|saga|game|soundtrack"
    r"|picture|trailer|show|painting|photograph|program)"
)
TIME = (
    r"(?:(?:next|this|in|for|the|at|on|around|sometime|during|past|from now|second|third|fourth|fifth|tenth)\s)*"
    r"(?:\d{1,2}:\d\d(?: ?[ap]\.?m\.?)?|\d{1,2} ?[ap]\.?m\.?|\d{1,2} o'?clock|today|tonight|tomorrow|noon|midnight"
    r"|morning|evening|afternoon|breakfast|lunch|dinner|brunch|(?:january|february|march|april|may|june|july|august"
    r"|september|october|november|december)(?: \d{1,2}(?:st|nd|rd|th)?)?(?: \d{4})?"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|"
    + NUMBER
    + r" (?:seconds?|minutes?|hours?|days?|weeks?|months?|years?)"
    r"(?: from now)?|(?:week|month|year|weekend|spring|summer|autumn|winter|now))(?: from now)?\b"
)
STATES = (
    "alabama alaska arizona arkansas california colorado connecticut delaware florida georgia hawaii idaho "
    "illinois indiana iowa kansas kentucky louisiana maine maryland massachusetts michigan minnesota mississippi "
    "missouri montana nebraska nevada new-hampshire new-jersey new-mexico new-york north-carolina north-dakota "
    "ohio oklahoma oregon pennsylvania rhode-island south-carolina south-dakota tennessee texas utah vermont "
    "virginia washington west-virginia wisconsin wyoming al ak az ar ca co ct de fl ga ia id il ks ky la ma md mi "
    "mn mo ms mt nc nd ne nh nj nm nv ny oh pa ri sc sd tn tx ut va vt wa wi wv wy"
)
COUNTRIES = (
    "afghanistan albania algeria angola argentina armenia australia austria azerbaijan bahamas bahrain bangladesh "
    "belarus belgium belize benin bolivia botswana brazil bulgaria burundi cambodia cameroon canada chad chile "
    "china colombia congo costa-rica croatia cuba cyprus denmark djibouti ecuador egypt england estonia ethiopia "
    "fiji finland france gabon gambia germany ghana greece grenada guam guatemala guinea haiti honduras hungary "
    "iceland india indonesia iran iraq ireland israel italy jamaica japan jordan kazakhstan kenya kuwait laos "
    "latvia lebanon lesotho liberia libya lithuania luxembourg macedonia madagascar malawi malaysia maldives mali "
    "malta mauritania mauritius mexico moldova monaco mongolia morocco mozambique myanmar namibia nepal "
    "netherlands new-zealand nicaragua niger nigeria norway oman pakistan palau panama paraguay peru philippines "
    "poland portugal qatar romania russia rwanda samoa saudi-arabia scotland senegal serbia singapore slovakia "
    "slovenia somalia south-africa spain sri-lanka sudan sweden switzerland syria taiwan tanzania thailand togo "
    "tonga tunisia turkey uganda ukraine united-kingdom united-states uruguay uzbekistan vanuatu venezuela "
    "vietnam wales yemen zambia zimbabwe usa uk"
)
CITIES = (
    "amsterdam athens atlanta austin baltimore bangkok barcelona beijing berlin boston brooklyn brussels buffalo "
    "cairo chicago cincinnati cleveland columbus copenhagen dallas denver detroit dublin edinburgh el-paso "
    "fort-worth geneva hamburg helsinki hong-kong honolulu houston indianapolis istanbul jacksonville kansas-city "
    "las-vegas lisbon london los-angeles madrid manhattan melbourne memphis miami milan milwaukee minneapolis "
    "montreal moscow mumbai munich naples nashville new-orleans new-york-city newark oakland oklahoma-city omaha "
    "orlando oslo oxford paris philadelphia phoenix pittsburgh portland prague rome sacramento saint-louis "
    "san-antonio san-diego san-francisco san-jose santa-fe seattle seoul shanghai stockholm sydney tampa tokyo "
    "toronto tucson tulsa vancouver venice vienna warsaw zurich"
)


def words(names: str) -> str:
    """Return an expression for names divided by blanks; a hyphen stands for a blank inside one."""
    return r"\b(?:" + "|".join(name.replace("-", " ") for name in names.split()) + r")\b"


RULES = (
    (
        "service",
        ANY,
        r"\b(?:spotify|youtube|itunes|pandora|netflix|deezer|last ?fm|google (?:music|play)|groove shark|slacker"
        r"|vimeo|iheart|zvooq)\b",
    ),
    ("current_location", ANY, r"\b(?:here|(?:my )?current (?:location|position|place|spot))\b"),
    ("best_rating", RATE, r"(?:out of|/) (" + NUMBER + r")\b"),
    ("best_rating", RATE, NUMBER + r" of (" + NUMBER + r")\b"),
    ("rating_unit", RATE, r"\b(?:stars?|points?)\b"),
    ("rating_value", RATE, r"\b(" + NUMBER + r")(?= (?:out of|stars?|points?|of|/))"),
    ("rating_value", RATE, r"\brating (?:value )?of (" + NUMBER + r")\b"),
    ("rating_value", r"\brate\b", r"\b(" + NUMBER + r")$"),
    ("party_size_number", BOOK, r"\b(" + NUMBER + r") (?:people|persons|guests|of us)\b"),
    (
        "party_size_number",
        BOOK,
        r"\b(?:party|group|table|seats?|reservations?|restaurant) (?:of|for) (" + NUMBER + r")\b",
    ),
    ("party_size_number", BOOK, r"\bfor (" + NUMBER + r")\b(?! ?(?:[ap]\.?m|hours?|minutes?|days?|weeks?|o'clock|:))"),
    ("party_size_description", BOOK, r"\bfor ((?:me|my \w+|\w+)(?: , \w+)*(?: ,)? and (?:i|me|myself|\w+))\b"),
    ("timeRange", BOOK + "|" + WEATHER + "|" + SCREEN, TIME),
    ("playlist_owner", ADD, r"\b(my|\w+ 's|\w+'s)(?= .*\bplaylist\b)"),
    ("playlist_owner", ADD, r"\b(?:to|in|into|on|onto) (my)\b"),
    ("playlist", ADD, r"\bplaylist (?:called|named|titled|:) (.+)$"),
    ("playlist", ADD, r"\b(?:to|in|into|on|onto) (?:the |my |\w+ 's |\w+'s )?((?!playlist).+?) playlist\b"),
    ("playlist", ADD, r"\b(?:to|into|onto) my (.+?)(?: playlist)?$"),
    (
        "sort",
        PLAY + "|" + BOOK,
        r"\b(?:best|top(?: rated|-rated)?|highly rated|most popular|popular|newest|latest|greatest|famous)\b",
    ),
    (
        "year",
        PLAY,
        r"\b((?:19|20)\d\d|(?:the )?(?:twenties|thirties|forties|fifties|sixties|seventies|eighties|nineties)|\d0s)\b",
    ),
    (
        "genre",
        PLAY,
        r"\b(?:rock|jazz|pop|hip hop|rap|country|blues|folk|metal|punk|techno|house|electronic|classical|reggae"
        r"|soul|funk|disco|indie|gospel|opera|swing|latin|ambient|r&b)\b(?= (?:music|songs?|tunes?|from|on|album)|$)",
    ),
    ("album", PLAY, r"\balbum (.+?)" + END),
    ("track", r"^(?:please )?play|listen", r"\b(?:song|track) (.+?)" + END),
    ("entity_name", ADD, r"\b(?:song|track|tune|album|titled|called|named) (?!to\b|by\b)(.+?)" + END),
    ("artist", ADD + "|" + PLAY, r"\bby (?:the artist |artist )?(.+?)" + END),
    ("artist", ADD + "|" + PLAY, r"\bartist (?!to\b)(.+?)" + END),
    ("artist", r"^(?:please )?play", r"\bplay (?:some |a )?(.+?)(?= (?:songs?|music)\b|'s| 's)"),
    ("music_item", ADD + "|" + PLAY, r"\b(?:songs?|tracks?|tunes?|albums?|artist|soundtrack|sound track)\b"),
    (
        "spatial_relation",
        BOOK + "|" + WEATHER + "|" + SCREEN,
        r"\b(?:nearby|near|close(?:st)?(?: to| by)?|nearest|around|in the (?:area|neighborhood|vicinity)"
        r"|within walking distance(?: of)?|not far from|far from|neighbou?ring|in the same area as|walking distance)\b",
    ),
    (
        "geographic_poi",
        ANY,
        r"\b((?:(?!in\b|at\b|for\b|the\b)\w+ ){1,3}(?:national (?:park|forest|monument|wildlife refuge)"
        r"|state (?:park|forest)|nature reserve|recreation area|wildlife refuge))\b",
    ),
    (
        "condition_description",
        WEATHER,
        r"\b(?:rain\w*|snow\w*|sunny|cloud\w*|wind[sy]?|storm\w*|fog\w*|humid\w*|blizzard\w*|hail|overcast"
        r"|hurricane|tornado|depression|thunderstorms?)\b",
    ),
    (
        "condition_temperature",
        WEATHER,
        r"\b(?:cold(?:er)?|hot(?:ter)?|warm(?:er)?|chilly|chillier|freezing|cool(?:er)?|temperate)\b",
    ),
    (
        "cuisine",
        BOOK,
        r"\b(?:italian|chinese|french|japanese|mexican|indian|thai|greek|korean|spanish|vietnamese|turkish|moroccan"
        r"|mediterranean|german|russian|lebanese|vegan|vegetarian|halal|kosher|seafood|middle eastern)\b",
    ),
    (
        "served_dish",
        BOOK,
        r"\b(?:pizza|sushi|pasta|burgers?|hamburgers?|steaks?|tacos?|burritos?|soup|salad|sandwich(?:es)?|noodles|ramen"
        r"|curry|barbecue|bbq|wings|pancakes|waffles|ice cream|cheesecake|lasagna|ribs|chili|fish and chips)\b",
    ),
    (
        "facility",
        BOOK,
        r"\b(?:pool|parking|wi-?fi|outdoor|indoor|internet|spa|valet|smoking room|terrace|wheelchair|bathroom)\b",
    ),
    (
        "restaurant_type",
        BOOK,
        r"\b(?:restaurants?|bar|pub|tavern|bistro|brasserie|cafe|caf\S|cafeteria|diner|steakhouse|food truck"
        r"|pizzeria|gastropub|coffeehouse|tea house|osteria|joint|fast food|bakery|deli|ice cream parlou?r)\b",
    ),
    (
        "restaurant_name",
        r"\b(?:book|reserve|reservation)",
        r"\bat (?:the )?((?!a\b|an\b|\d)\w.*?)(?= (?:in|for|on|at|that)\b|$)",
    ),
    (
        "location_name",
        SCREEN,
        r"\bat (?:the )?((?:\w+ ){1,3}(?:theat(?:er|re)s?|cinemas?|corporation|entertainment|holdings))\b",
    ),
    ("object_location_type", SCREEN, r"\b(?:movie )?(?:theat(?:er|re)s?|cinemas?|house)\b"),
    ("object_type", SCREEN, r"\b(?:movie (?:times?|schedules?|listings?)|showtimes|schedules?)\b"),
    (
        "movie_name",
        SCREEN,
        r"\b(?:what time is|when is|where is|see|watch|showtimes for|schedules? for|times for) (.+?)"
        r"(?= (?:playing|showing|being|starting|start|at|in)\b|$)",
    ),
    (
        "movie_type",
        r"\b(?:theat|cinema|neighborhood|playing|showing|movie house)",
        r"\b(?:animated )?(?:movies|films)\b",
    ),
    ("object_select", r"\b(?:rate|rating|give|stars?|points?)\b", r"\b(?:this|current|last|previous|next)\b"),
    ("object_part_of_series_type", RATE, r"\b(?:series|saga|chronicle)\b"),
    (
        "object_name",
        r"\brate\b|\bgive\b",
        r"\b(?:rate|give) (?:the )?(?:" + THING + r" )?((?!this|the|current|last|previous|" + NUMBER + r"\b)\w.*?)"
        r"(?= (?:a rating|with|an?|" + NUMBER + r")\b)",
    ),
    ("object_name", FIND, r"\b(?:called|titled|named) (.+)$"),
    (
        "object_name",
        FIND,
        r"\b(?:find|search for|look for|show me|get me|looking for|see) (?:me )?(?:the |a )?" + THING + r" (.+)$",
    ),
    ("object_type", RATE + "|" + FIND, r"\b" + THING + r"\b"),
    ("country", WEATHER + "|" + BOOK, words(COUNTRIES)),
    ("city", WEATHER + "|" + BOOK, words(CITIES)),
    ("state", WEATHER + "|" + BOOK, words(STATES)),
    ("city", WEATHER + "|" + BOOK, r"\bin ([a-z]+(?: [a-z]+)?)(?= ,? ?" + words(STATES + " " + COUNTRIES)[2:] + r")"),
)
SLOTS = ("O", *sorted({slot for slot, _, _ in RULES}))


def slots_of(tokens: list[str]) -> list[int]:
    """Return the number of the slot of each token, 0 for none.

    Examples
    --------
    >>> [SLOTS[slot] for slot in slots_of("Play jazz music on Spotify".split())]
    ['O', 'genre', 'O', 'O', 'service']
    """
    text = " ".join(tokens).lower()
    starts, at = [], 0
    for token in tokens:
        starts.append(at)
        at += len(token) + 1
    found = [0] * len(tokens)
    for slot, condition, pattern in COMPILED:
        if not condition.search(text):
            continue
        for match in pattern.finditer(text):
            begin, end = match.span(1 if pattern.groups else 0)
            inside = [i for i, start in enumerate(starts) if begin <= start < end]
            if all(found[i] == 0 for i in inside):
                for i in inside:
                    found[i] = slot
    return found


COMPILED = tuple((SLOTS.index(slot), re.compile(condition), re.compile(pattern)) for slot, condition, pattern in RULES)

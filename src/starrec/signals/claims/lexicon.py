"""Words: which surface forms stand for which class of the grammar.

Each line of `_CLASSES` belongs to one class: "taken", "watched" and "bought" are all `TAKE`, "people" and
"viewers" all `PEOPLE`. A phrase may stand for several classes, and be read word by word as well. A word that
stands nowhere is unknown, and a clause with an unknown word has no reading: it is better not to understand a
sentence than to misunderstand it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

_CLASSES: Final = """
PEOPLE       people | person | persons | user | users | viewer | viewers | customer | customers | player
PEOPLE       players | reader | readers | shopper | shoppers | buyer | buyers | watcher | watchers
PEOPLE       individual | individuals | consumer | consumers | fan | fans | member | members | taker
PEOPLE       takers | folk | folks | subscribers | gamers | gamer | moviegoers | account | accounts
PEOPLE       audience members | owner | owners | patrons | other people | other users | other viewers
PEOPLE       other customers | other players | other readers | other shoppers | other person | other user
PEOPLE       other buyers | other accounts
OTHERS       others | those | ones
AUDIENCE     audience | audiences | viewership | readership | crowd | following | user base | customer base
AUDIENCE     player base | fan base | fanbase
EVERYONE     the population | the whole population | everyone | everybody | everyone else | everybody else
EVERYONE     anyone at all
ANYONE       anyone | anybody | any person | any viewer | any of the people | a single person | anyone at all
NOBODY       nobody | no one | noone | not one person | not a single person | not a single one
NOBODY       no one at all | not a soul | no one else | nobody else | not anyone
NONE         none | not one | not a single | zero | no | not any | none at all
ALL          all | every | each | every single | each and every | every last | every one | all of | each one
MOST         most | the majority | a majority | majority | the bulk | the better part
FEW          few | a few | hardly any | very few | only a few | just a few | scarcely any | barely any
FEW          almost none
FEWPEOPLE    hardly anyone | hardly anybody | scarcely anyone | barely anyone | almost nobody
FEWPEOPLE    almost no one | next to nobody | next to no one
SOME         some | at least some
SOMEONE      someone | somebody
MANY         many | a lot | lots | plenty | several | numerous | countless | a number | a handful | handful
MANY         quite a few | a good number | a large number | scores | a good many | a great many | dozens
MANY         hundreds
MINORITY     a minority | minority
HALF         half | a half | one half | one-half
EXACTLY      exactly | only | just | precisely | merely | a mere | a total of | fully | a full
EXACTLY      no more and no less than | as many as | as few as | as much as | as little as | all of
EXACTLY      altogether | no other than | strictly | barely | a grand total of | the other | the remaining
EXACTLY      the rest
ABOUT        about | roughly | around | approximately | circa | approx | some | something like
ABOUT        in the region of | close to | more or less | an estimated | in the neighbourhood of
ABOUT        on the order of
NEARLY       nearly | almost | just under | just short of | just below | slightly under | not quite
NEARLY       a little under | a shade under | a bit less than | slightly less than | a little less than
NEARLY       slightly fewer than
OVER         over | more than | above | in excess of | upwards of | greater than | higher than
OVER         better than | exceeding | just over | slightly over | slightly more than | a little over
OVER         well over | a shade over | north of | a little more than | just above | a bit more than
UNDER        under | less than | fewer than | below | lower than | smaller than | well under | short of
ATLEAST      at least | no fewer than | no less than | not less than | not fewer than | a minimum of
ATMOST       at most | no more than | not more than | up to | a maximum of | at the most | not over
ATMOST       not exceeding
ORMORE       or more | or above | at the least | and up | or greater
ORLESS       or fewer | or less | or below | or under
BETWEEN      between | anywhere between | somewhere between
TAKE         take | takes | took | taken | taking | watch | watches | watched | watching | buy | buys
TAKE         bought | buying | purchase | purchases | purchased | purchasing | play | plays | played
TAKE         playing | read | reads | reading | choose | chooses | chose | chosen | choosing | see | sees
TAKE         saw | seen | seeing | view | views | viewed | viewing | pick | picks | picked | picking
TAKE         picked up | pick up | picks up | picking up | select | selects | selected | selecting
TAKE         went for | go for | gone for | goes for | opt for | opted for | opts for | consume | consumed
TAKE         consumes | try | tries | tried | trying | own | owns | owned | end up taking | ended up taking
TAKE         ended up watching | chose to take | chose to watch | chosen by | streamed
SKIP         skip | skips | skipped | miss | misses | missed | ignored | ignore | passed over | passed on
SKIP         pass on | passed up | went without | gave a miss | failed to take | failed to watch | shunned
SKIP         left alone | bypassed | declined | failed to see | failed to buy
AVOID        avoid | avoids | avoided | avoiding | shun | shuns | steer clear of | stay away from
AVOID        stays away from | steers clear of | keep away from | keeps away from | tend to avoid
AVOID        tends to avoid | tend to skip | tends to skip | stay clear of | shy away from
AVOID        shies away from | steered clear of | stayed away from
DO           do | does | did
BE           is | are | was | were | be | been | being | am | s
HAVE         have | has | had | having
GET          got | get | gets | received | receive | earned | scored | score | were given | was given
WOULD        would | will
NOT          not | never | n't | cannot
WITHOUT      without | minus
WITHOUTING   but not | and not | yet not | though not | but never | yet never
BUT          but | yet | and yet
AND          and | & | as well as | along with | together with | plus | and also | and then also | alongside
NEITHER      neither
NOR          nor
EITHER       either | either one
BOTH         both
BOTHITEMS    both | the two | both of them | each other | one another | the pair | the two of them
BOTHITEMS    them both
AMONG        among | amongst | from | for | in | within | inside | with | amid | across | within the group of
WHO          who | that | which | whom | whose members | who then
WHOSE        whose
OFTHEM       of whom | of which | of them | of these | of those | among them | among these | of this group
OFTHEM       of that group | of that number | of these people | of those people | among those
OFTHEM       of this audience | of that audience | of the latter | of those viewers | of these viewers
THEM         them | these | they | this group | that group | these people | those people | the same people
IT           it | this one | that one | the latter
ITS          its | their | his | her | your | whose own | my | our
POSS         's | ’s
USER         this user | the user | our user | that user | this person | this customer | this viewer
USER         the target user | you | this reader | this player | this shopper | the person
USER         the task's user | the viewer in question | the user in question | the customer | the task user
USER         me | this member | them here | this one here
HISTORY      history | histories | record | records | viewing history | watch history | past | log
HISTORY      profile | list | track record | tastes | taste | purchase history | reading history
HISTORY      playing history | window | habits
RECENT       recent | latest | lately | recently | most recent | short term | newest | current | these days
RECENT       of late | recent window
WHOLE        whole | entire | full | overall | complete | long term | all time | lifetime | total | long run
NEAREST      most similar | closest | nearest | most alike | most like | most closely matching
NEAREST      best matching | most closely resembling | most akin | most similarly | like minded | likest
NEAREST      closest matching | most comparable | the most similar | nearest in kind
MATCHES      resembles | matches | resemble | match | is closest to | comes closest to | come closest to
MATCHES      most resembles | best matches | most closely matches | most closely resembles | most resemble
MATCHES      best match | most closely match | most closely resemble | are closest to | looks most like
MATCHES      look most like
NEIGHBOUR    neighbours | neighbors | neighbour | neighbor | lookalikes | look alikes | peers
NEIGHBOUR    kindred spirits | nearest neighbours | nearest neighbors | closest neighbours
NEIGHBOUR    closest neighbors | closest peers | nearest neighbour | nearest neighbor | twins | taste twins
NEIGHBOUR    closest matches | nearest peers | most similar neighbours | most similar neighbors | soulmates
NEIGHBOUR    closest kin | nearest lookalikes
SIMILARLY    judged by | measured by | judging by | according to | based on | going by | in terms of
SIMILARLY    when it comes to | by | in | on | over | with respect to | as to | counting | considering
LAST         last | latest | most recent | past | previous | preceding | newest | recent | final | prior
THING        item | items | film | films | movie | movies | game | games | book | books | title | titles
THING        product | products | thing | things | step | steps | entry | entries | items taken | works
THING        work | picks made
CHOICE       choice | choices | pick | picks | selection | selections | interaction | interactions
CHOICE       purchases | purchase | plays | views | viewings | watches | choices made | decisions | orders
CHOICE       takings
DAY          day | days
WEEK         week | weeks
FORTNIGHT    fortnight | a fortnight
BEFORE       before | prior | earlier | beforehand | leading up | preceding | previously | up to then | ago
PERIOD       period | window | stretch | span | time | run up | run
NOW          now | then | this | that | the task | this task | this one | it | the moment | today
NOW          the request | the task's day | this moment | the latest item | this point | that point
NOW          the task's own day | that day
ACCOUNTS     made up | make up | makes up | accounted for | account for | accounts for | represented
ACCOUNTS     represents | constituted | constitutes | went to | fell on | landed on | took up | takes up
ACCOUNTS     is responsible for | was responsible for | constitute | comprised | comprises | were for
ACCOUNTS     fell to | made for | go to
SHAREOF      share | proportion | percentage | fraction | part | portion | rate
CHANCEOF     chance | probability | likelihood | odds
NUMBEROF     number | count | tally | figure | numbers
SHARES       share | shares | shared | sharing
COMMON       in common | common
OVERLAP      overlap | overlaps | overlapped | intersect | intersects | intersection
CATEGORY     category | categories | genre | genres | a category | some category | at least one category
CATEGORY     any category
SAMECAT      the same category | the same categories | the category | a category | the same genre
SAMECAT      one of the categories
TRAITS       categories and title words | title words and categories | categories or title words
TRAITS       title words or categories | traits | categories or words in the title
TRAITS       categories and words of the title | categories and words in the title
TRAITS       categories plus title words | title words plus categories | category and title words
TRAITS       categories and words in their titles | descriptive traits
TRAITS       categories or words in their titles | category or title words | category and title word
TRAITS       traits in total
SPANS        span | spans | spanned | cover | covers | covered | range over | ranged over | range across
SPANS        come from | fall into | spread over | spread across | are spread over | are spread across
SPANS        touch | touch on | stem from | touched | draw on | extend over | stretch over | stretch across
SPANS        fell into | came from | cut across | straddle | run across | run through | reach across
SPANS        are drawn from | belong to | fall under | represent | hit | include | are distributed over
SPANS        encompass | comprise | take in | range through | fall within | ranged across
DISTINCT     distinct | different | separate | various | unique
APPEARS      appear | appears | occur | occurs | turn up | turns up | are represented | is represented
APPEARS      show up | are found | are present | are covered | feature | are spanned | come up
APPEARS      were represented | appeared | are touched | crop up
BELONG       belong to | belongs to | fall under | falls under | fall into | falls into | come from
BELONG       comes from | are in | is in | are from | is from | are of | is of | count as | counts as
BELONG       are labelled | is labelled | are tagged | is tagged | are filed under | is filed under
BELONG       are classed as | are categorised as | are categorized as | are listed under | is listed under
BELONG       fall in | falls in | were in | were from | are tagged as | are labeled | are labelled as
BELONG       are marked as | are classified as | is classified as | are marked | qualify as | sit in
BELONG       are listed as | lie in | are in category | are classed under | belonged to | carry the label
BELONG       carry
MEMBERSHIP   category | genre | label | the category | the genre | kind | type | tag
RATED        rated | scored | graded
RATING       rating | score | mark | grade | ratings | average | mean | mean rating | average rating
RATING       mean score | average score | mean mark | average grade | mean of the ratings
RATING       average of the ratings | mean of their ratings
ABOVE        above | higher than | more than | over | better than | beyond | exceeding | greater than
ABOVE        in excess of
BELOW        below | lower than | less than | under | worse than | short of
OWN          own | personal | respective | usual
ALIKE        read alike | reads like | read like | reads much like | are described alike
ALIKE        resemble each other
SIMILARITY   similarity | textual similarity | similarity score | description similarity | resemblance
SIMILARITY   similarity of description
ADDS         adds | add | contributes | contribute | added | gives | brings | raises | lifts | boosts
ADDS         increases | pushes
SUBTRACTS    subtracts | takes | removes | takes away | deducts | lowers | reduces | cuts | decreases
SUBTRACTS    drops | takes off | subtract | detracts | drags down | costs | shaves
MODEL        linear model | a linear model | the linear model | the linear item model | a linear item model
MODEL        ease | the model | linear item model | an item model | the item model | the ease model
MODELEXPECTS expects | expect | predicts | expected | predict | would expect | forecasts | makes
SCORE        score | expectation | prediction | expected score | forecast | value
WEIGHT       weight | coefficient | item weight | linear weight
BEYOND       beyond | given | besides | on top of | over and above | apart from | net of
BEYOND       after accounting for | aside from | after | accounting for | holding | in addition to
BEYOND       controlling for | taking into account | allowing for
REST         rest | remainder | other items | rest of it | remaining items | everything else
POSITIVE     positive
NEGATIVE     negative
POPULAR      popular | common | widely taken | widely watched | widely seen | widely read | widely played
POPULAR      widely bought | well known | frequently taken | often taken | commonly taken | sought after
POPULAR      frequently chosen | frequently watched | often watched | often chosen | often picked
POPULAR      widespread | taken often | often bought | frequently bought | frequently played | often played
POPULAR      often seen | popular overall | often read
POPULARITY   popularity
MORE         more
LESS         less
FEWER        fewer
EQUALLY      equally | just as | exactly as | precisely as
AS           as | so
MOSTPOP      most popular | the most popular | most taken | most widely taken | most watched
MOSTPOP      most often taken | most chosen | most common | best known | top | most frequently taken
MOSTPOP      most bought | most played | the favourite | most viewed | biggest | largest | most seen
MOSTPOP      most read | most picked | most widely watched
LEASTPOP     least popular | least taken | least widely taken | least watched | least often taken
LEASTPOP     least chosen | least common | least frequently taken | least bought | least played | smallest
LEASTPOP     least known | least viewed | least seen | least read | least picked | least widely watched
MOSTOF       the most | most
FEWESTOF     the fewest | fewest
BEATS        beats | outranks | tops | exceeds | outdoes | outstrips | surpasses | leads | is ahead of
BEATS        outsells | eclipses | overshadows | outdraws | outperforms
TRAILS       trails | lags | lags behind | is behind | falls short of | ranks below | trails behind
TRAILS       falls behind | is below
EQUALS       equals | matches | ties with | rivals
OFTEN        often | frequently | commonly | regularly
RARELY       rarely | seldom | hardly ever | infrequently | scarcely ever | hardly | only rarely | scarcely
RARELY       barely ever | barely | almost never | next to never | very rarely
SOMETIMES    sometimes | occasionally | at times | at least once
USUALLY      usually | typically | normally | generally | mostly
TENDTO       tend to | tends to | tended to | are inclined to | like to | are wont to
GOTO         {go} to | {go} on to | {go} straight to | {go} straight on to | {go} over to | {go} next to
GOTO         {go} directly to | {go} with | {go} on with | proceeded on to | followed up with
GOTO         follow up with | follows up with | {go} right on to | {go} right to | soon {go} to
GOTO         soon {go} on to | next {go} to | then {go} to | then {go} on to | follow it with
GOTO         followed it with | follow it up with | followed it up with | follow this with | reach for
GOTO         reached for | take up | took up | came to | arrived at | come to | get to | got to
GO           go | goes | went | gone | move | moves | moved | jump | jumped | jumps | passed | pass
GO           passes | switch | switched | switches | hop | hopped | travelled | traveled | step | stepped
GO           proceed | proceeded | continue | continued | headed | head | turned | turn | progressed
GO           transition | transitioned | crossed over | crossed
FOLLOWS      follow | follows | followed | comes after | came after | come after | comes right after
FOLLOWS      comes soon after | came right after | comes next after | succeeds | came soon after
FOLLOWS      directly follows | closely follows | turns up after | appears after | soon follows
FOLLOWS      comes shortly after | followed on from | follows on from | follows upon | came up after
FOLLOWS      comes up after | is taken after | gets taken after | comes on the heels of | was taken after
FOLLOWS      was taken soon after | is taken soon after | is taken right after | was taken right after
FOLLOWS      is watched after | is picked after | is chosen after | is bought after | was watched after
FOLLOWS      gets watched after
FOLLOWED     followed | succeeded | soon followed
PRECEDES     precedes | comes before | preceded | came before | is taken before | was taken before
PRECEDES     comes ahead of
LEADSTO      leads to | led to | leads on to | leads into | led into | leads people to | leads people on to
LEADSTO      sends people to | sent people to | takes people to | brought people to | brings people to
LEADSTO      leads viewers to | leads users to | lead to | gives way to | sends people on to
LEADSTO      sends viewers to | sends viewers on to | pointed people to
AFTER        after | right after | soon after | straight after | shortly after | immediately after
AFTER        following | once | directly after | just after | upon | having finished | coming from
AFTER        in the wake of | after finishing | starting from
SOON         soon | shortly | soon after | shortly after | soon afterwards | shortly afterwards
SOON         right after | afterwards | right afterwards | thereafter | soon thereafter | subsequently
SOON         later | later on | then | straight after | after that | after it | afterward | soon after that
SOON         from there | in short order | straight afterwards | right after it | soon after it
SOON         shortly after it | right after that | directly afterwards | presently | before long
SOON         in quick succession | right away
NEXT         next | following | subsequent | very next | ensuing
REVERSE      the other way round | the other way around | vice versa | the reverse | in reverse
REVERSE      the opposite direction | in the opposite direction | back | conversely | the opposite
REVERSE      the other direction | in the other direction | the converse | the opposite way
REVERSE      in the reverse direction | the reverse direction | the other way
CASE         case | cases | times | occasions | instances
TIMES        times | x | × | fold
TWICE        twice | double
THRICE       thrice | triple
LIKELY       likely | often | frequent | frequently | common | commonly | many | much | probable | high
LIKELY       large | popular | great | prevalent | widespread | strong | apt | liable | prone | inclined
LIKELY       big
LIFT         lift | lift score | lift value | uplift
WITHSTANDS   goes with | go with | pairs with | pair with | is paired with | combines with
WITHSTANDS   goes together with | sits with | went with | is taken with | was taken with | goes along with
WITHSTANDS   co occurs with | cooccurs with | is linked with | overlaps with | is linked to
WITHSTANDS   is associated with | is connected with | is tied to | overlaps | belongs with
TOGETHER     together | jointly | in combination | side by side | by the same people | by the same person
BETTER       better | more | more closely | more often | more strongly | more readily | more frequently
WORSE        worse | less | less closely | less often | less well | less strongly | less readily
WORSE        less frequently
SUPPORT      rests on | resting on | based on | backed by | supported by | rest on | from | relies on
SUPPORT      relying on | drawn from | built on | is based on | on the strength of | on the basis of
SUPPORT      on the word of | counted over | according to | on the evidence of | stands on | is backed by
SUPPORT      is supported by | draws on | comes from
CONTRAST     where | while | whereas | though | although | against | versus | vs | compared with
CONTRAST     compared to | instead of | rather than | as against | when | as opposed to | set against
CONTRAST     in contrast to | relative to | measured against | as compared with | not
MAKES        makes | made | renders
DRAWS        can boast | drew | draws | draw | attracted | attracts | reached | reaches | counts | counted
DRAWS        numbers | numbered | won | totals | totalled | garnered | gathered | boasts | saw | found
DRAWS        claims | enjoys | commands | attract
SAYS         is | was | are | were | stands at | comes to | equals | amounts to | stood at | came to
SAYS         sits at | numbers | amounted to | makes up | runs to | makes | totals | reaches | counts
SAYS         works out at | works out to | measures
HAPPENS      holds for | applies to | happened for | happens for | is true of | was true of | occurred for
HAPPENS      happened with | goes for | held for | was the case for | is the case for | happened to
HAPPENS      is what happened for
FALSE        it is not true that | it is false that | it is untrue that | it is not the case that
FALSE        not true | it is wrong that | it is incorrect that | it is a mistake to say that
FALSE        it is wrong to say that | it is not so that | it is simply not true that
FALSE        it is not right that | contrary to the facts
CARDINAL     all told | in all | in total | altogether | in the graph | in the data | in the data set
CARDINAL     in the dataset | on record | overall | in the training data | in our data | all in all
CARDINAL     in sum | in the catalogue | in the interaction graph | in the logs | in the training graph
CARDINAL     as a whole | in this graph | in this data | in general | at large | at all | in question
CARDINAL     here | on the whole | in the world | that we know of | in the training set
"""


def word_set(words: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(words.split())


_GO: Final = word_set(
    """
    go goes went gone going move moves moved moving proceed proceeds proceeded continue continues continued
    turn turns turned switch switches switched jump jumps jumped head heads headed carry carries carried
    progress progressed advance advanced graduate graduated
    """
)
"""How people go on to something."""

DROPPED: Final = word_set(
    """
    the a an also too indeed actually even else ever already still clearly simply readily easily very much
    far considerably somewhat slightly markedly noticeably likewise respectively quite additionally
    unsurprisingly well really decidedly notably fellow
    """
)
"""Words that do not change what is claimed."""

REFERENCE: Final = word_set(
    """
    what its it their his her popularity popular alone itself themselves would will might could can may
    should predict predicts predicted predicting prediction predictions suggest suggests suggested imply
    implies implied explain explains explained expect expects expected expectation expectations chance
    chances random randomly by from of on at in overall general average usual typical rate base baseline
    normal one you we anyone lead leads to based do does is be were was are had have warrant warrants
    account accounts for mere sheer pure plain level as population everyone people person viewer viewers
    user users customer customers reader readers player players if independence independent independently
    made us believe number share that coincidence figure them it's only across whole among all frequency
    prevalence anybody others probability luck dictates dictate warranted foretells foretell forecast
    forecasts indicates indicate calls call marginal background global how generally lets let take taken
    took watch watched with reach solely purely simply under projects project
    """
)
"""Words of which a reference is made: "what its popularity alone would predict"."""

ANCHORS: Final = word_set(
    """
    popularity popular chance chances expected expectation expectations random randomly average general
    baseline base overall independence independent independently predicted coincidence population luck
    marginal background global prevalence expect generally everyone everybody anybody
    """
)
"""Words one of which says that it is what popularity alone predicts."""

NEGATIONS: Final = word_set(
    """
    not no never nor neither nobody none nothing without hardly scarcely barely rarely seldom
    """
)
HEDGES: Final = word_set(
    """
    perhaps maybe might could would may should probably possibly likely unlikely apparently seemingly
    allegedly supposedly claim claims claimed claiming pretend suppose supposing assume assuming assumes
    imagine whether guess guesses hypothetically ought until think thinks believe believes hope hopes say
    says said suspect suspects expect expects seems seem
    """
)
DENIALS: Final = word_set(
    """
    except excepting excluding unless if unlike false falsely wrong wrongly untrue incorrect incorrectly
    mistaken mistakenly doubt doubtful doubts deny denies denied contrary rumour myth lie lies error unknown
    refute refutes refuted disprove disproves reject rejects impossible ignoring discounting invalid fake
    fabricated made-up imaginary isn wasn
    """
)
TRUTHS: Final = word_set(
    """
    true correct accurate right so case fact facts real valid sure certain clear
    """
)
"""Words beside a claim that may change what it says: words that deny or doubt, and negations of the truth."""

BOUNDING: Final = word_set(
    """
    among of in within during for outside inside before after until with by at on over under from between
    once when beyond apart only
    """
)
"""Words with which a phrase may begin that bounds a claim ("among women", "until 1990") ..."""

_OPENERS: Final = """
in short, in fact, in sum, in brief, in other words, in particular, in addition, in contrast, in total, in all,
in summary, in practice, in general, in detail, in turn, in this graph, in the graph, in the data, in our data,
in this data, in the interaction graph, in the training graph, in this case, for example, for instance,
for comparison, for one, for reference, for the record, for context, by contrast, by comparison, by the way,
by itself, on balance, on the other hand, on the one hand, on the whole, on top of that, of course, of note,
of the two, of the three, of the four, of the candidates, of the lot, of the pair, at first glance,
at the same time, at a glance, from the graph, from the data, from this graph, from the evidence,
from the tools, from that, among other things, within the graph, within the data, with that
"""
OPENERS: Final = frozenset(phrase.strip() for phrase in _OPENERS.split(","))
"""... and phrases that begin so and bound nothing."""

ASKS: Final = word_set(
    """
    how whether check ask see find count compute determine let should need needs want will must shall could
    please query look request verify ensure consider use call
    """
)
"""Words of plans and questions: text with one of them claims nothing unless it states a figure."""

CONNECTIVES: Final = word_set(
    """
    and but because since so while whereas although though yet as that hence thus therefore moreover which
    who meaning with where here there plus namely also besides or
    """
)
"""Words after which another clause may begin."""

LINKS: Final = word_set(
    """
    because since so but and as hence thus therefore while whereas although though yet
    """
)
"""Those that join clauses; before them a clause may end."""

_UNITS: Final = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen
"""
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
NUMBER_WORDS: Final = {
    **{word: value for value, word in enumerate(_UNITS.split())},
    **{word: 10 * value for value, word in enumerate(_TENS.split(), start=2)},
}
_PARTS: Final = "third quarter fourth fifth sixth seventh eighth ninth tenth"
_SIZES: Final = dict(zip(_PARTS.split(), (3, 4, 4, 5, 6, 7, 8, 9, 10), strict=True))
PARTS: Final = {"half": 2, "halves": 2, **_SIZES, **{f"{word}s": size for word, size in _SIZES.items()}}
SLACK: Final = {2: Fraction(5), 3: Fraction(5), 4: Fraction(5)}
"""Points that a fraction in words may be off: a half, thirds, quarters; finer ones half as much."""


def _phrases() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in _CLASSES.strip().splitlines():
        name, _, rest = line.partition(" ")
        for pattern in rest.split("|"):
            forms = [pattern.replace("{go}", go) for go in _GO] if "{go}" in pattern else [pattern]
            for form in forms:
                found.setdefault(" ".join(form.replace("-", " ").split()), set()).add(name)
    return {phrase: frozenset(classes) for phrase, classes in found.items()}


PHRASES: Final = _phrases()
LONGEST: Final = max(len(phrase.split()) for phrase in PHRASES)

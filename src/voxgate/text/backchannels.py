"""What a listener says to show that he listens: no answer, no question, no wish to speak.

Short lists, kept by hand: what is missing interrupts the bot for nothing, what is in them wrongly makes it talk over
somebody. So words that may be a wish (`no`, `wait`, `what`, `stop`) are in none of them. A backchannel is one only
while the bot speaks; to a question of the bot, `yes` is an answer (conversation/turn_table.py).
"""

from voxgate.text.words import comparable, squeezed

MOST = 4
"""More of them in one breath, and the speaker wants to say something: `yeah yeah okay right sure` is impatience."""

_EVERYWHERE = "mm; mhm; mm hm; hm; uh huh; uh; um; er; ah; aha; oh; eh; ok; okay"

_BY_LANGUAGE = {
    "en": "yeah; yep; yup; yes; ya; right; alright; all right; sure; i see; got it; gotcha; wow; really; cool; "
    "great; nice; good; exactly; true; of course; indeed; interesting; fine; huh; makes sense; "
    "that makes sense; i understand; go on; lah; okay lah; can can",
    "vi": "ừ; ừm; ừ hử; ờ; à; ồ; ơ; dạ; vâng; dạ vâng; vâng ạ; dạ vâng ạ; ừ nhỉ; thế à; vậy à; thế hả; vậy hả; "
    "đúng rồi; phải rồi; được; được rồi; rồi; hiểu rồi; tôi hiểu; ô kê; ô; hay quá; tốt",
    "zh": "嗯; 嗯嗯; 嗯哼; 哦; 噢; 喔; 啊; 呃; 对; 对对; 對; 是; 是的; 是啊; 对啊; 對啊; 好; 好的; 好吧; 行; "
    "明白; 明白了; 知道了; 了解; 没错; 沒錯; 真的; 真的吗; 真的嗎; 这样啊; 這樣啊; 原来如此; 原來如此; "
    "当然; 當然",
    "yue": "嗯; 哦; 啊; 係; 係呀; 係啊; 好; 好呀; 好啊; 明; 明白; 知道; 冇錯; 得; 真係; 真係呀; 唔",
    "ja": "うん; うんうん; はい; はいはい; ええ; へえ; ほう; ああ; あ; おお; そう; そうか; そうですか; "
    "そうですね; そうね; そうなんだ; そうなんですか; なるほど; なるほどね; たしかに; 確かに; 本当; "
    "本当に; 本当ですか; ほんと; ほんとに; すごい; わかりました; 分かりました; わかった; 分かった; "
    "ふうん; ふーん; オーケー; オッケー",
    "ko": "응; 네; 넵; 예; 어; 음; 아; 오; 그래; 그래요; 그렇군요; 그렇구나; 그렇죠; 그쵸; 맞아; 맞아요; "
    "알겠어요; 알겠습니다; 좋아; 좋아요; 정말; 정말요; 진짜; 진짜요; 아하; 와; 오케이; 네네; 아 네; "
    "아 그렇군요",
    "th": "อืม; อือ; อ๋อ; อ้อ; โอ้; ครับ; ค่ะ; คะ; จ้ะ; จ้า; ใช่; ใช่ครับ; ใช่ค่ะ; ได้; ได้ครับ; ได้ค่ะ; ดี; "
    "ดีครับ; ดีค่ะ; เหรอ; เข้าใจ; เข้าใจแล้ว; เข้าใจครับ; เข้าใจค่ะ; จริง; จริงเหรอ; โอเค; แน่นอน; "
    "นั่นสิ; อ๋อครับ; อ๋อค่ะ; อือฮึ",
    "id": "ya; iya; iya iya; oh ya; oh iya; he eh; oke; baik; baiklah; betul; benar; oh begitu; begitu; tentu; "
    "paham; mengerti; saya mengerti; sip; siap; bagus; wah; masa; gitu; oh gitu",
    "ms": "ya; iya; ha ah; oh ya; baik; baiklah; betul; benar; oh begitu; tentu; faham; saya faham; bagus; "
    "wah; okey; ye; ye ke; betul tu",
    "ta": "ஆமா; ஆமாம்; சரி; சரிங்க; ம்; ம்ம்; ஓ; ஓகே; அப்படியா; புரிகிறது; புரிஞ்சது; நல்லது",
    "fil": "oo; opo; oho; sige; sige po; ganun; ganun ba; talaga; ay; tama; ah ganun; naiintindihan ko; oo nga; wow",
    "am": "እሺ; አዎ; አዎን; ኧኧ; ኧ; አሃ; ጥሩ; በጣም ጥሩ; ገባኝ; ልክ ነው; እውነት; ኦኬ",
    "ti": "እወ; ሕራይ; ጽቡቕ; ተረዲኡኒ; ልክዕ; ኦኬ",
    "om": "eeyyee; eeyyeen; eeyye; tole; tolee; gaarii; hubadhe; dhugaa; sirrii",
    "so": "haa; haye; waayahay; hagaag; waan fahmay; run; sax; fiican",
    "es": "sí; si; ajá; vale; claro; ya; bueno; bien; exacto; entiendo; ya veo; de acuerdo; así es; qué bien; en serio",
    "fr": "oui; ouais; d'accord; bien; bien sûr; ah bon; je vois; exactement; voilà; c'est ça; je comprends; "
    "tout à fait",
    "de": "ja; jaja; genau; stimmt; klar; gut; achso; ach so; aha; verstehe; ich verstehe; richtig; na klar; "
    "alles klar",
    "it": "sì; si; certo; va bene; bene; esatto; capito; ho capito; capisco; già; d'accordo; davvero",
    "pt": "sim; é; tá; tá bom; claro; certo; isso; entendi; entendo; bom; pois é; exato; sei; está bem",
    "hi": "हाँ; हां; जी; जी हाँ; जी हां; अच्छा; ठीक; ठीक है; हम्म; सही; सही है; बिल्कुल; समझ गया; समझ गई; ओह; ओके",
}
"""Phrases by BCP-47 base tag; the languages of the registry (languages.py)."""


def _phrases(text: str) -> frozenset[tuple[str, ...]]:
    return frozenset(squeezed(comparable(phrase)) for phrase in text.split(";"))


_SHARED = _phrases(_EVERYWHERE)
_LONGEST = max(len(phrase) for text in _BY_LANGUAGE.values() for phrase in _phrases(text))
_TABLE = {language: _phrases(text) | _SHARED for language, text in _BY_LANGUAGE.items()}


def is_backchannel(text: str, language: str) -> bool:
    """Whether the text is nothing but backchannels of this language (a BCP-47 tag), one to MOST of them.

    Of a language without a list only the sounds count that are made everywhere. False for an empty text.
    """
    phrases = _TABLE.get(language.split("-")[0], _SHARED)
    words = squeezed(comparable(text))
    if len(words) > MOST * _LONGEST:
        return False
    fewest = [0, *[MOST + 1] * len(words)]  # phrases that the words before this place make up
    for end in range(1, len(words) + 1):
        for start in range(max(0, end - _LONGEST), end):
            if fewest[start] < fewest[end] - 1 and words[start:end] in phrases:
                fewest[end] = fewest[start] + 1
    return 0 < fewest[-1] <= MOST

"""What the bot says when there is nobody to think of it: that it understood nothing, that something failed.

In the languages the default engines hear; in any other it is said in English, which the callers of such a language are
more likely to know than any other. Short, so that they are spoken within a second and a half.
"""

from enum import StrEnum


class Phrase(StrEnum):
    """Which of them."""

    ASK_AGAIN = "ask_again"
    """Somebody spoke, and no word came through."""
    APOLOGY = "apology"
    """An engine failed: the answer does not come."""
    CREDITS_END = "credits_end"
    """The call is about to end for want of credits."""


_PHRASES: dict[str, tuple[str, str, str]] = {
    "en": (
        "Sorry, I didn't catch that. Could you say it again?",
        "Sorry, something went wrong. Please try again.",
        "I'm sorry, your credits have run out. Goodbye.",
    ),
    "vi": (
        "Xin lỗi, tôi nghe không rõ. Bạn nói lại được không?",
        "Xin lỗi, đã có lỗi xảy ra. Bạn vui lòng thử lại.",
        "Rất tiếc, tài khoản của bạn đã hết. Tạm biệt.",
    ),
    "id": (
        "Maaf, saya tidak mendengar dengan jelas. Bisa diulangi?",
        "Maaf, ada yang salah. Silakan coba lagi.",
        "Maaf, kredit Anda sudah habis. Sampai jumpa.",
    ),
    "ms": (
        "Maaf, saya tidak dengar dengan jelas. Boleh ulang sekali lagi?",
        "Maaf, ada masalah. Sila cuba lagi.",
        "Maaf, kredit anda sudah habis. Selamat tinggal.",
    ),
    "ja": (
        "すみません、聞き取れませんでした。もう一度お願いします。",
        "すみません、問題が起きました。もう一度お試しください。",
        "申し訳ありません、クレジットがなくなりました。失礼します。",
    ),
    "ko": (
        "죄송합니다, 잘 못 들었어요. 다시 말씀해 주시겠어요?",
        "죄송합니다, 문제가 생겼어요. 다시 시도해 주세요.",
        "죄송합니다, 크레딧이 모두 소진되었습니다. 안녕히 계세요.",
    ),
    "zh": (
        "抱歉，我没听清楚，请再说一遍。",
        "抱歉，出了点问题，请再试一次。",
        "抱歉，您的余额已用完，再见。",
    ),
    "th": (
        "ขอโทษ ฉันฟังไม่ชัด กรุณาพูดอีกครั้ง",
        "ขอโทษ เกิดข้อผิดพลาด กรุณาลองอีกครั้ง",
        "ขออภัย เครดิตของคุณหมดแล้ว ลาก่อน",
    ),
}


def phrase(which: Phrase, language: str) -> tuple[str, str]:
    """The text, and the BCP-47 base tag of the language it is in: that of `language`, else English."""
    base = language.split("-")[0]
    found = base if base in _PHRASES else "en"
    return _PHRASES[found][list(Phrase).index(which)], found

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
    """The call is about to end for want of credits: in a quarter of a minute."""
    TIME_ENDS = "time_ends"
    """The call is about to end because it is as long as a call may be."""


_PHRASES: dict[str, tuple[str, str, str, str]] = {
    "en": (
        "Sorry, I didn't catch that. Could you say it again?",
        "Sorry, something went wrong. Please try again.",
        "I'm sorry, your credits are used up; we have to stop in a moment.",
        "I'm sorry, our time is almost up; we have to stop in a moment.",
    ),
    "vi": (
        "Xin lỗi, tôi nghe không rõ. Bạn nói lại được không?",
        "Xin lỗi, đã có lỗi xảy ra. Bạn vui lòng thử lại.",
        "Rất tiếc, tài khoản của bạn sắp hết, cuộc gọi sẽ kết thúc.",
        "Rất tiếc, sắp hết giờ rồi, cuộc gọi sẽ kết thúc.",
    ),
    "id": (
        "Maaf, saya tidak mendengar dengan jelas. Bisa diulangi?",
        "Maaf, ada yang salah. Silakan coba lagi.",
        "Maaf, kredit Anda sudah habis, sebentar lagi kita harus berhenti.",
        "Maaf, waktu kita hampir habis, sebentar lagi kita harus berhenti.",
    ),
    "ms": (
        "Maaf, saya tidak dengar dengan jelas. Boleh ulang sekali lagi?",
        "Maaf, ada masalah. Sila cuba lagi.",
        "Maaf, kredit anda sudah habis, sekejap lagi kita terpaksa berhenti.",
        "Maaf, masa kita hampir tamat, sekejap lagi kita terpaksa berhenti.",
    ),
    "ja": (
        "すみません、聞き取れませんでした。もう一度お願いします。",
        "すみません、問題が起きました。もう一度お試しください。",
        "申し訳ありません、クレジットがなくなるため、まもなく終了します。",
        "申し訳ありません、お時間になりますので、まもなく終了します。",
    ),
    "ko": (
        "죄송합니다, 잘 못 들었어요. 다시 말씀해 주시겠어요?",
        "죄송합니다, 문제가 생겼어요. 다시 시도해 주세요.",
        "죄송합니다, 크레딧이 소진되어 곧 통화가 종료됩니다.",
        "죄송합니다, 시간이 다 되어 곧 통화가 종료됩니다.",
    ),
    "zh": (
        "抱歉，我没听清楚，请再说一遍。",
        "抱歉，出了点问题，请再试一次。",
        "抱歉，您的余额已用完，通话即将结束。",
        "抱歉，时间快到了，通话即将结束。",
    ),
    "th": (
        "ขอโทษ ฉันฟังไม่ชัด กรุณาพูดอีกครั้ง",
        "ขอโทษ เกิดข้อผิดพลาด กรุณาลองอีกครั้ง",
        "ขออภัย เครดิตของคุณหมดแล้ว การสนทนากำลังจะจบลง",
        "ขออภัย หมดเวลาแล้ว การสนทนากำลังจะจบลง",
    ),
}


def phrase(which: Phrase, language: str) -> tuple[str, str]:
    """The text, and the BCP-47 base tag of the language it is in: that of `language`, else English."""
    base = language.split("-")[0]
    found = base if base in _PHRASES else "en"
    return _PHRASES[found][list(Phrase).index(which)], found

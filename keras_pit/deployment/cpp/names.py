"""Names in generated C++: which are fit to be the namespace of a network, and what a label is called.

The namespace must not clash with what a firmware may include, and labels not with each other:

    "watch"        namespace watch
    "log"          an error: <math.h> has it
    "arm raise"    kArmRaise
    "arm-raise"    an error next to the former: the same name
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from ... import checks

_KEYWORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class co_await
co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default delete do
double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace
new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires return
short signed sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef
typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq
"""

# Functions and types of the C library and of Arduino, macros of compilers, and namespaces that the sources use.
_TAKEN = """
abort abs accept access acos alarm asin assert atan atexit atof atoi bind bsearch calloc cbrt ceil chdir clock close
connect cos cosh count ctime delay div div_t dup erf errno exit exp fabs fclose feof ferror fflush fgets fileno floor
fma fmax fmin fmod fopen fork fread free fseek ftell fwrite gamma getc getenv gets gmtime hypot index isalnum isalpha
isdigit isspace kill labs ldexp ldiv link linux listen localtime log loop lround main malloc map max memcpy memset
micros millis min mktime modf nan nice open pause perror pipe pow printf putc puts qsort raise rand random read realloc
recv remainder remove rename rewind rindex rint round scalb scanf select send setup signal sin sinh sleep socket sprintf
sqrt srand stat std stderr stdin stdout strlen swab sync system tan tanh test tflite time times tolower tone toupper
trunc unix unlink wait word write y0 y1 yn j0 j1 jn flatbuffers arduino
isinf isnan isfinite offsetof va_list i386 I
NULL EOF FILE BUFSIZ NAN INFINITY MAXFLOAT math_errhandling TRUE FALSE EXIT_SUCCESS EXIT_FAILURE CLOCKS_PER_SEC
CHAR_BIT MB_LEN_MAX MB_CUR_MAX L_tmpnam P_tmpdir SEEK_SET SEEK_CUR SEEK_END FLT_RADIX FLT_ROUNDS FLT_EVAL_METHOD
DECIMAL_DIG MATH_ERRNO MATH_ERREXCEPT EDOM ERANGE EILSEQ EINVAL ENOMEM EIO
Arduino Print Printable Serial SerialUSB SPI Stream String Wire bit bitClear bitRead bitSet bitToggle bitWrite boolean
byte constrain degrees digitalRead digitalWrite analogRead analogReference analogWrite attachInterrupt
detachInterrupt delayMicroseconds highByte interrupts lowByte noInterrupts noTone pinMode pulseIn pulseInLong radians
randomSeed serialEvent shiftIn shiftOut sq yield
F PI HALF_PI TWO_PI DEG_TO_RAD RAD_TO_DEG EULER HIGH LOW INPUT INPUT_PULLUP INPUT_PULLDOWN OUTPUT OUTPUT_OPENDRAIN
CHANGE RISING FALLING LSBFIRST MSBFIRST DEFAULT INTERNAL EXTERNAL SERIAL DISPLAY LED_BUILTIN BIN OCT DEC HEX ARDUINO
PROGMEM SDA SCL MOSI MISO SCK SS RESET SET ENABLE DISABLE SUCCESS ERROR
"""

# Families of such names: types (POSIX keeps all of these for itself), limits and formats of numbers, signals, constants
# of <math.h>, and Arduino's pins, ports and binary numbers.
_FAMILIES = (
    r"\w+_t",
    r"[A-Z]\w*_(MAX|MIN|WIDTH|DIG|EPSILON|MANT_DIG|C)",
    r"(FLT|DBL|LDBL|FP|M|L|SIG|TFLITE|TF_LITE|CMSIS|ARM|LED)_\w+",
    r"(HUGE_VAL|SNAN)\w*",
    r"(PRI|SCN)[diouxX]\w+",
    r"SIG[A-Z]+",
    r"[AD]\d+",
    r"B[01]+",
    r"Serial\d+",
)

_RESERVED = {**dict.fromkeys(_KEYWORDS.split(), "a keyword"), **dict.fromkeys(_TAKEN.split(), "taken by a library")}


def check_name(name: str) -> None:
    """Refuse a name that cannot be a namespace in every firmware.

    Args:
        name: what the network is to be called.

    Raises:
        ValueError: if it is not a C++ identifier, reserved, or in use by common libraries.

    Example:

        check_name("watch")
    """
    cure = 'Pass another, for example name="watch_model".'
    if not isinstance(name, str):
        raise checks.wrong_type("`name`", "a C++ identifier", name, cure)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name, re.ASCII):
        raise ValueError(
            f"name={name!r} is not a C++ identifier; expected letters, digits and underscores, a letter first. {cure}"
        )
    if "__" in name:
        raise ValueError(f"name={name!r} holds two underscores in a row, which C++ reserves for compilers. {cure}")
    reason = _RESERVED.get(name) or ("taken by a library" if re.fullmatch("|".join(_FAMILIES), name) else None)
    if reason:
        raise ValueError(f"name={name!r} is {reason} in C++; expected a free identifier. {cure}")


def check_labels(labels: Sequence[str]) -> None:
    """Refuse labels of which two would have the same name in C++, or one none.

    Args:
        labels: names of the classes, in the order of the output's numbers.

    Raises:
        ValueError: naming the labels at fault.

    Example:

        check_labels(["rest", "arm raise"])
    """
    seen: dict[str, str] = {}
    for label in labels:
        if not isinstance(label, str):
            cure = "Convert them: labels=[str(x) for x in labels]."
            raise checks.wrong_type("Each of `labels`", "a string", label, cure)
        name = enumerator(label)
        if name == "k":
            raise ValueError(
                f"Label {label!r} has no Latin letter or digit to make a C++ name of; expected at least one. Rename it."
            )
        if name in seen:
            raise ValueError(
                f"Labels {seen[name]!r} and {label!r} have the same name in C++, {name}; expected names that differ in "
                "letters or digits. Rename one."
            )
        seen[name] = label


def enumerator(label: str) -> str:
    """The constant for a label: its words joined, without accents, behind a k; "arm raise 2" is kArmRaise_2."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")
    return "k" + re.sub(r"(?:^|_)([A-Za-z])", lambda first: first[1].upper(), words)

//! Go's `strconv.FormatFloat`: shortest and exact digits in every format of `printf`.
//! It never prints more than the precision asks for.

/// A float by verb (`e`, `f`, `g`, `E`, `G`, `b`, `x`, `X`) and precision (`None`: shortest).
pub(crate) fn format(float: f64, verb: u8, precision: Option<usize>) -> String {
    if float.is_nan() {
        return "NaN".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let sign = if float.is_sign_negative() { "-" } else { "" };
    let size = float.abs();
    let body = match verb {
        b'e' | b'E' => scientific(size, verb, precision),
        b'f' => match precision {
            Some(precision) => format!("{size:.precision$}"),
            None => format!("{size}"),
        },
        b'b' => binary(size),
        b'x' | b'X' => hex(size, verb, precision),
        _ => general(size, verb, precision),
    };
    format!("{sign}{body}")
}

/// As `%v` prints it.
pub(crate) fn shortest(float: f64) -> String {
    format(float, b'g', None)
}

/// Digits without point, and the exponent of the first.
fn decimal(size: f64, precision: Option<usize>) -> (String, i32) {
    let text = match precision {
        Some(precision) => format!("{size:.precision$e}"),
        None => format!("{size:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

fn scientific(size: f64, verb: u8, precision: Option<usize>) -> String {
    let (digits, exponent) = decimal(size, precision);
    join_exponent(&digits, exponent, verb)
}

fn join_exponent(digits: &str, exponent: i32, verb: u8) -> String {
    let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    let letter = char::from(verb);
    format!(
        "{first}{point}{rest}{letter}{sign}{:02}",
        exponent.unsigned_abs()
    )
}

fn general(size: f64, verb: u8, precision: Option<usize>) -> String {
    let precision = precision.map(|precision| precision.max(1));
    let (digits, exponent) = decimal(size, precision.map(|precision| precision - 1));
    let mut digits = digits.trim_end_matches('0');
    if digits.is_empty() {
        digits = "0";
    }
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let wanted = precision.map(|precision| i32::try_from(precision).unwrap_or(i32::MAX));
    let threshold = match wanted {
        // The shortest digits change to an exponent at a million, however many they are.
        None => 6,
        Some(wanted) if wanted > count && count > exponent => count,
        Some(wanted) => wanted,
    };
    if exponent < -4 || exponent >= threshold {
        let letter = if verb == b'G' { b'E' } else { b'e' };
        return join_exponent(digits, exponent, letter);
    }
    plain(digits, exponent)
}

/// Digits in plain notation, without trailing zeros after the point.
fn plain(digits: &str, exponent: i32) -> String {
    if exponent < 0 {
        let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
        return format!("0.{}{digits}", "0".repeat(zeros));
    }
    let whole = usize::try_from(exponent + 1).unwrap_or(0);
    match digits.split_at_checked(whole) {
        Some((whole, "")) => whole.to_owned(),
        Some((whole, fraction)) => format!("{whole}.{fraction}"),
        None => format!("{digits}{}", "0".repeat(whole - digits.len())),
    }
}

/// The mantissa and the exponent of two.
fn parts(size: f64) -> (u64, i32) {
    let bits = size.to_bits();
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    let fraction = bits & ((1 << 52) - 1);
    if exponent == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, exponent - 1075)
    }
}

fn binary(size: f64) -> String {
    let (mantissa, exponent) = parts(size);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}p{sign}{}", exponent.unsigned_abs())
}

fn hex(size: f64, verb: u8, precision: Option<usize>) -> String {
    let (mut mantissa, exponent) = parts(size);
    let mut exponent = exponent + 52;
    if mantissa == 0 {
        exponent = 0;
    } else {
        // The leading digit is 1, at bit 60.
        while mantissa & (1 << 52) == 0 {
            mantissa <<= 1;
            exponent -= 1;
        }
        mantissa <<= 8;
    }
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        let shift = u32::try_from(precision * 4).unwrap_or(0);
        let extra = (mantissa << shift) & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if (extra | (mantissa & 1)) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & (1 << 61) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut digits = String::new();
    let mut rest = mantissa << 4;
    match precision {
        None => {
            while rest != 0 {
                digits.push_str(&format!("{:x}", rest >> 60));
                rest <<= 4;
            }
        }
        Some(precision) => {
            for _ in 0..precision {
                digits.push_str(&format!("{:x}", rest >> 60));
                rest <<= 4;
            }
        }
    }
    let point = if digits.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    let first = (mantissa >> 60) & 1;
    let text = format!(
        "0x{first}{point}{digits}p{sign}{:02}",
        exponent.unsigned_abs()
    );
    if verb == b'X' {
        text.to_uppercase()
    } else {
        text
    }
}

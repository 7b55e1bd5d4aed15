//! Skipping a container 64 bytes at a time, on processors that have AVX2.
//! It never looks at what is inside, and does nothing where the processor cannot: the caller has its own way.
//!
//! ```text
//!  64 bytes ─▶ four bit masks: quotes, backslashes, opening and closing brackets
//!             ─▶ quotes that are not escaped ─▶ what is inside strings ─▶ brackets outside ─▶ depth
//! ```

/// The end of the object or array that opens at `at`, or the end of the text; `None` without AVX2.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn container_end(json: &[u8], at: usize) -> Option<usize> {
    let vector = pulp::x86::V3::try_new()?;
    let rest = json.get(at..)?;
    let end = vector.vectorize(avx2::Search { vector, text: rest });
    Some(end.map_or(json.len(), |end| at + end))
}

/// The end of the object or array that opens at `at`, or the end of the text; `None` without AVX2.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(super) fn container_end(_: &[u8], _: usize) -> Option<usize> {
    None
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::__m256i;

    use pulp::NullaryFnOnce;
    use pulp::x86::V3;

    /// One search, as the argument of a function that may use AVX2.
    pub(super) struct Search<'a> {
        pub(super) vector: V3,
        /// Starts with the opening bracket.
        pub(super) text: &'a [u8],
    }

    /// A bit for each of 64 bytes.
    struct Masks {
        quotes: u64,
        backslashes: u64,
        opens: u64,
        closes: u64,
    }

    /// What one block leaves to the next.
    #[derive(Default)]
    struct State {
        /// One if the first byte is escaped.
        escaped: u64,
        /// All ones inside a string.
        inside: u64,
        depth: u32,
    }

    impl NullaryFnOnce for Search<'_> {
        type Output = Option<usize>;

        #[inline(always)]
        fn call(self) -> Option<usize> {
            let (blocks, tail) = self.text.as_chunks::<64>();
            let mut state = State::default();
            for (place, block) in blocks.iter().enumerate() {
                if let Some(end) = state.step(masks(self.vector, block)) {
                    return Some(place * 64 + end);
                }
            }
            let mut last = [0; 64];
            for (to, from) in last.iter_mut().zip(tail) {
                *to = *from;
            }
            state
                .step(masks(self.vector, &last))
                .map(|end| blocks.len() * 64 + end)
        }
    }

    #[inline(always)]
    fn masks(vector: V3, block: &[u8; 64]) -> Masks {
        let mut masks = Masks {
            quotes: 0,
            backslashes: 0,
            opens: 0,
            closes: 0,
        };
        let (avx, avx2) = (vector.avx, vector.avx2);
        let all = |byte: u8| avx._mm256_set1_epi8(byte.cast_signed());
        let equal = |bytes: __m256i, byte: u8| {
            let same = avx2._mm256_cmpeq_epi8(bytes, all(byte));
            u64::from(avx2._mm256_movemask_epi8(same).cast_unsigned())
        };
        for (half, shift) in block.as_chunks::<32>().0.iter().zip([0, 32]) {
            let bytes: __m256i = pulp::cast(*half);
            masks.quotes |= equal(bytes, b'"') << shift;
            masks.backslashes |= equal(bytes, b'\\') << shift;
            // `[` and `{`, `]` and `}` differ in one bit.
            let folded = avx2._mm256_or_si256(bytes, all(0x20));
            masks.opens |= equal(folded, b'{') << shift;
            masks.closes |= equal(folded, b'}') << shift;
        }
        masks
    }

    impl State {
        /// Goes over one block; gives where the container ends, past its bracket.
        #[inline(always)]
        fn step(&mut self, masks: Masks) -> Option<usize> {
            let strings = self.strings(masks.quotes, masks.backslashes);
            let (opens, closes) = (masks.opens & !strings, masks.closes & !strings);
            if closes.count_ones() < self.depth {
                self.depth = self.depth + opens.count_ones() - closes.count_ones();
                return None;
            }
            let mut marks = opens | closes;
            while marks != 0 {
                let bit = marks & marks.wrapping_neg();
                if opens & bit != 0 {
                    self.depth += 1;
                } else {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(bit.trailing_zeros() as usize + 1);
                    }
                }
                marks ^= bit;
            }
            None
        }

        /// The bytes from each opening quote to before its closing one.
        #[inline(always)]
        fn strings(&mut self, quotes: u64, backslashes: u64) -> u64 {
            let mut strings = self.inside;
            if backslashes == 0 && self.escaped == 0 {
                // Each quote turns all bits from itself on.
                let mut turns = quotes;
                for shift in [1, 2, 4, 8, 16, 32] {
                    turns ^= turns << shift;
                }
                strings ^= turns;
            } else {
                // A backslash means something inside a string only, so the marks are taken one by one.
                let mut marks = (quotes | backslashes) & !self.escaped;
                self.escaped = 0;
                while marks != 0 {
                    let bit = marks & marks.wrapping_neg();
                    marks ^= bit;
                    if quotes & bit != 0 {
                        strings ^= bit.wrapping_neg();
                    } else if strings & bit != 0 {
                        marks &= !(bit << 1);
                        self.escaped = bit >> 63;
                    }
                }
            }
            self.inside = if strings >> 63 == 1 { u64::MAX } else { 0 };
            strings
        }
    }
}

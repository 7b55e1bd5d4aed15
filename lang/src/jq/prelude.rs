//! Definitions of the library as filters get them: those of the engine, and gojq's where they differ.
//! It never defines anything that its natives do not have.

use jaq_core::load::parse::Def;

/// Definitions of the engine that need what is withheld.
const REPLACED: [(&str, usize); 8] = [
    ("halt", 0),
    ("halt_error", 0),
    ("halt_error", 1),
    ("debug", 0),
    ("debug", 1),
    ("stderr", 0),
    ("nan", 0),
    ("infinite", 0),
];

const OWN: &str = r#"
def env: {};
def debug: .;
def debug(msgs): .;
def stderr: .;
def localtime: gmtime;
def strflocaltime(f): strftime(f);
def __modify($keys; f):
  . as $__v | [first(__getpath($keys) | f)] as $__n
  | $__v | if $__n == [] then __delpath($keys) else __setpath($keys; $__n[0]) end;
def setpath($path; $x): __setpath($path; $x) | __measure;
def getpath($path): reduce $path[] as $p (.; if . == null then null else .[$p] end);
def delpaths($paths): reduce ($paths | sort | reverse | .[]) as $p (.; __delpath($p));
def del(f): delpaths([path(f)]);
def tostring: if type == "string" then . else tojson end;
def from_entries: reduce .[] as $x ({};
  ($x | [["key", "k", "name", "Name", "Key", "K"][] | select(. as $n | $x | has($n)) | $x[.]]
    | map(select(. != null)) | .[0]) as $k
  | ($x | [["value", "v", "Value", "V"][] | select(. as $n | $x | has($n)) | $x[.]] | .[0]) as $v
  | . + {($k | if type == "string" then . else tojson end): $v});
def __joined:
  if . == null then "" elif type == "string" then .
  elif type == "array" or type == "object" then error("cannot join \(type)") else tojson end;
def join($s):
  if . == [] then "" else reduce .[1:][] as $x (.[0] | __joined; . + $s + ($x | __joined)) end;
def __has($key): has($key);
def has($key):
  if type == "object" and ($key | type) != "string" then error("an object has no key of that kind")
  else __has($key) end;
def __limit($n; f): limit($n; f);
def limit($n; f): if $n < 0 then error("a limit must not be negative") else __limit($n; f) end;
def tonumber:
  if type == "number" then .
  elif type == "string" and test("^[-+]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][-+]?[0-9]+)?$") then
    (ltrimstr("+") | if test("^-?\\.") then sub("\\."; "0.") else . end
      | sub("\\.(?<e>[eE]|$)"; .e // "") | sub("^(?<s>-?)0+(?<d>[0-9])"; .s + .d) | fromjson)
  else error("cannot parse as number") end;
def __flatten($d): reduce .[] as $x ([];
  if ($x | type) == "array" and $d != 0 then . + ($x | __flatten($d - 1)) else . + [$x] end);
def flatten($d): if $d < 0 then error("flatten depth must not be negative") else __flatten($d) end;
def flatten: __flatten(-1);
def transpose:
  if . == [] then [] else . as $__t | (map(length) | max) as $__m
  | [range(0; $__m) as $j | [range(0; $__t | length) as $i | $__t[$i][$j]]] end;
def todate: strftime("%Y-%m-%dT%H:%M:%SZ");
def toarray: if type == "array" then . else [.] end;
def leaf_paths: paths(type | . != "array" and . != "object");
def ascii: [.] | implode;
def trimstr($s): ltrimstr($s) | rtrimstr($s);
def INDEX(stream; f): reduce stream as $row ({}; . + {($row | f | tostring): $row});
def INDEX(f): INDEX(.[]; f);
def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);
def GROUP_BY(f): group_by(f);
def tostream: path(def r: (.[]? | r), .; r) as $p | getpath($p)
  | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);
def fromstream(f): {x: null, e: false} as $init
  | foreach f as $i ($init;
      if .e then $init else . end
      | if $i | length == 2
        then setpath(["e"]; $i[0] | length == 0) | setpath(["x"] + $i[0]; $i[1])
        else setpath(["e"]; $i[0] | length == 1) end;
      if .e then .x else empty end);
def truncate_stream(stream): . as $n | null | stream | . as $input
  | if (.[0] | length) > $n then setpath([0]; .[0][$n:]) else empty end;
def @csv: map(if type == "string" then "\"" + gsub("\""; "\"\"") + "\""
  elif . == null then "" elif type == "array" or type == "object" then error("no value for CSV")
  else tojson end) | join(",");
def @tsv: map(if type == "string"
  then gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\r"; "\\r") | gsub("\n"; "\\n")
  elif . == null then "" elif type == "array" or type == "object" then error("no value for TSV")
  else tojson end) | join("\t");
def splits($re): split($re; null | "")[];
"#;

/// The engine's definitions but those replaced, then ours.
pub(super) fn defs() -> impl Iterator<Item = Def<&'static str>> {
    let library = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    let kept = library.filter(|def| !REPLACED.contains(&(def.name, def.args.len())));
    let own = jaq_core::load::parse(OWN, |parser| parser.defs()).unwrap_or_default();
    kept.chain(own)
}

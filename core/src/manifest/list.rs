//! Lists of objects, as `kubectl get -o yaml` writes them, taken apart. Positions stay those of the text.
//! It reads no file and knows no kind but lists.

use serde_json::{Value, json};

use super::Document;
use crate::problems::{Path, Segment};

impl Document {
    /// The objects that it stands for: those of a `List`, also of one inside of it, and otherwise itself.
    ///
    /// Items of a typed list, such as a `SensorList`, may leave out what their list says: they get its `apiVersion`
    /// and its kind.
    #[must_use]
    pub fn objects(self) -> Vec<Self> {
        let mut found = Vec::new();
        let mut open = vec![self];
        while let Some(document) = open.pop() {
            match document.items() {
                Ok(mut items) => {
                    items.reverse();
                    open.extend(items);
                }
                Err(one) => found.push(*one),
            }
        }
        found
    }

    /// The items of a list; itself where it is none.
    fn items(mut self) -> Result<Vec<Self>, Box<Self>> {
        let of = self.kind().strip_suffix("List").map(str::to_owned);
        let (Some(of), Some(Value::Array(items))) = (of, self.object.get_mut("items")) else {
            return Err(Box::new(self));
        };
        let mut documents: Vec<Self> = std::mem::take(items)
            .into_iter()
            .map(Self::from_object)
            .collect();
        if !of.is_empty() {
            let api_version = self.api_version().to_owned();
            for document in &mut documents {
                if let Value::Object(members) = &mut document.object {
                    members.entry("kind").or_insert_with(|| json!(of));
                    let version = members.entry("apiVersion");
                    version.or_insert_with(|| json!(api_version));
                }
            }
        }
        for (path, position) in self.positions {
            if let [Segment::Key(key), Segment::Index(index), below @ ..] = path.segments()
                && key == "items"
                && let Some(document) = documents.get_mut(*index)
            {
                document
                    .positions
                    .insert(Path::from(below.to_vec()), position);
            }
        }
        documents.retain(|document| !document.object.is_null());
        Ok(documents)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn objects(text: &str) -> Vec<Document> {
        let documents = parse(text).unwrap().into_iter();
        documents.flat_map(Document::objects).collect()
    }

    #[test]
    fn a_list_is_its_items_and_they_know_where_they_stand() {
        let found = objects(
            "apiVersion: v1\nkind: List\nitems:\n- kind: A\n  metadata: {name: x}\n- kind: List\n  items:\n  \
             - kind: B\n- kind: C\n---\nkind: D\n",
        );
        let kinds: Vec<&str> = found.iter().map(Document::kind).collect();
        assert_eq!(kinds, ["A", "B", "C", "D"]);
        let name = Path::default().key("metadata").key("name");
        let lines = found.iter().map(|one| one.position(&name).unwrap().line);
        assert_eq!(lines.collect::<Vec<_>>(), [5, 8, 9, 11]);
    }

    #[test]
    fn items_of_a_typed_list_are_of_its_kind() {
        let found = objects(
            "apiVersion: argoproj.io/v1alpha1\nkind: SensorList\nitems: [{metadata: {name: x}}, {kind: Other}, null, 1]\n",
        );
        let shown: Vec<(&str, &str)> = found
            .iter()
            .map(|one| (one.api_version(), one.kind()))
            .collect();
        let ours = "argoproj.io/v1alpha1";
        assert_eq!(shown, [(ours, "Sensor"), (ours, "Other"), ("", "")]);
    }

    #[test]
    fn what_only_looks_like_a_list_stays_whole() {
        for text in [
            "kind: List\n",
            "kind: AllowList\nitems: {}\n",
            "items: []\n",
        ] {
            assert_eq!(objects(text).len(), 1, "{text}");
        }
        assert_eq!(objects("kind: List\nitems: []\n").len(), 0);
    }
}

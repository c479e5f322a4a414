//! Reads the parameters straight into jq's values. Refuses what has another shape.

use tombolo_jq::Val;
use tombolo_sdk::NodeError;

/// The parameters of `eval`.
pub struct Eval {
    /// The input of every expression.
    pub scope: Val,
    /// jq texts.
    pub expressions: Vec<String>,
}

/// Reads `{"scope": .., "expressions": [..]}`.
pub fn eval(params: &str) -> Result<Eval, NodeError> {
    let mut fields = fields(params)?;
    let scope = fields.take("scope").ok_or_else(|| refused("missing field `scope`"))?;
    Ok(Eval { scope, expressions: fields.expressions()? })
}

/// Reads `{"expressions": [..]}`.
pub fn check(params: &str) -> Result<Vec<String>, NodeError> {
    fields(params)?.expressions()
}

/// The members of the parameters' object.
struct Fields(Vec<(Val, Val)>);

fn fields(params: &str) -> Result<Fields, NodeError> {
    match tombolo_jq::read(params.as_bytes()) {
        Ok(Val::Obj(object)) => Ok(Fields(match tombolo_jq::Rc::try_unwrap(object) {
            Ok(object) => object.into_iter().collect(),
            Err(shared) => shared.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        })),
        Ok(_) => Err(refused("expected an object")),
        Err(error) => Err(refused(&error.to_string())),
    }
}

impl Fields {
    fn take(&mut self, name: &str) -> Option<Val> {
        let at = self.0.iter().position(
            |(key, _)| matches!(key, Val::TStr(key) if key.as_ref() == name.as_bytes()),
        )?;
        Some(self.0.swap_remove(at).1)
    }

    fn expressions(mut self) -> Result<Vec<String>, NodeError> {
        let Some(Val::Arr(texts)) = self.take("expressions") else {
            return Err(refused("`expressions` has to be a list of texts"));
        };
        texts
            .iter()
            .map(|text| match text {
                Val::TStr(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
                _ => Err(refused("`expressions` has to be a list of texts")),
            })
            .collect()
    }
}

fn refused(reason: &str) -> NodeError {
    NodeError::invalid_input("invalid-params", format!("the parameters: {reason}"))
}

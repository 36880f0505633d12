//! Answers that are given again to whoever asks again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::assets::AssetError;

/// How many answers are remembered.
const MOST: usize = 4096;

/// The last answers, by what the clients call their wishes.
#[derive(Debug)]
pub(super) struct Answered<T>(Mutex<Table<T>>);

#[derive(Debug)]
struct Table<T> {
    answers: HashMap<String, Arc<OnceCell<T>>>,
    order: VecDeque<String>,
}

impl<T> Default for Answered<T> {
    fn default() -> Self {
        Self(Mutex::new(Table {
            answers: HashMap::new(),
            order: VecDeque::new(),
        }))
    }
}

impl<T: Clone> Answered<T> {
    /// Does it, unless it was done for this wish before; gives the answer of that time. What has failed is tried again.
    pub(super) async fn once(
        &self,
        key: String,
        work: impl Future<Output = Result<T, AssetError>>,
    ) -> Result<T, AssetError> {
        if key.is_empty() {
            return work.await;
        }
        let answer = self.cell(key);
        answer.get_or_try_init(|| work).await.cloned()
    }

    fn cell(&self, key: String) -> Arc<OnceCell<T>> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = table.answers.get(&key) {
            return Arc::clone(answer);
        }
        if table.order.len() >= MOST
            && let Some(oldest) = table.order.pop_front()
        {
            table.answers.remove(&oldest);
        }
        table.order.push_back(key.clone());
        Arc::clone(table.answers.entry(key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_same_wish_is_done_once() {
        let answered = Answered::default();
        let failed = async { Err(AssetError::invalid("it", "not now")) };
        answered.once("a".to_owned(), failed).await.unwrap_err();
        assert!(answered.once("a".to_owned(), async { Ok(true) }).await.unwrap());
        assert!(answered.once("a".to_owned(), async { Ok(false) }).await.unwrap());
        assert!(!answered.once("b".to_owned(), async { Ok(false) }).await.unwrap());
        for key in 0..2 * MOST {
            let _ = answered.once(key.to_string(), async { Ok(true) }).await;
        }
        assert_eq!(answered.0.lock().unwrap().answers.len(), MOST);
    }
}

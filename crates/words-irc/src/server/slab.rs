//! Things by a small number, which is used again when one is gone.

/// A slab: what is put in gets the lowest number that was given back last, or a new one; in any
/// case the same in every run.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Self {
            items: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The number that the next one will have.
    pub(crate) fn next(&self) -> u32 {
        let new = u32::try_from(self.items.len()).expect("fewer connections than four billion");
        self.free.last().copied().unwrap_or(new)
    }

    pub(crate) fn insert(&mut self, item: T) -> u32 {
        let at = self.next();
        match self.free.pop() {
            Some(at) => self.items[at as usize] = Some(item),
            None => self.items.push(Some(item)),
        }
        at
    }

    pub(crate) fn remove(&mut self, at: u32) -> Option<T> {
        let item = self.items.get_mut(at as usize)?.take()?;
        self.free.push(at);
        Some(item)
    }

    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.items.get(at as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.items.get_mut(at as usize)?.as_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len() - self.free.len()
    }

    /// All, in the order of their numbers, from one on.
    pub(crate) fn from(&self, at: u32) -> impl Iterator<Item = &T> {
        self.items.iter().skip(at as usize).flatten()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().flatten()
    }
}

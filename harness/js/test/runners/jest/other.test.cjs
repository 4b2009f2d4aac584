test('is in another file', () => {}) // with two files Jest starts workers

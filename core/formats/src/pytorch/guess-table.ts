const LINEAR =
  /(^|_)(head|decoder|softmax|logits|classifier|out|output|fc|linear|dense|proj|projection)(_|\d|$)/i;
const EMBEDDING = /(^|_)(wte|wpe|emb|embed|embedder|embedding|embeddings|words?|tokens?)(_|\d|$)/i;

/**
 * Whether a module of one matrix without a bias is an embedding: by the last part of its name, else
 * by its shape.
 */
export function guessTable(name: string, rows: number, columns: number): 'embedding' | 'linear' {
  const last = name.slice(name.lastIndexOf('.') + 1);
  if (LINEAR.test(last)) return 'linear'; // first: there are heads called embed_out
  if (EMBEDDING.test(last)) return 'embedding';
  return rows > 8 * columns ? 'embedding' : 'linear';
}

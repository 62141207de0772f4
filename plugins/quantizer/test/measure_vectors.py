"""Product, optimized product and residual quantization of faiss: python measure_vectors.py MATRIX.npy WAY…
A way: product,50,8 or rotated,50,8 or residual,8,8. Prints a line of JSON for each: CPU seconds, error."""
import json, sys, time
import faiss, numpy as np

faiss.omp_set_num_threads(1)
matrix = np.ascontiguousarray(np.load(sys.argv[1]), "float32")
columns = matrix.shape[1]
for way in sys.argv[2:]:
    kind, count, bits = way.split(",")
    count, bits, started, given = int(count), int(bits), time.process_time(), matrix
    if kind == "rotated":
        rotation = faiss.OPQMatrix(columns, count)
        rotation.train(matrix)
        given = rotation.apply(matrix)
    quantizer = (faiss.ResidualQuantizer if kind == "residual" else faiss.ProductQuantizer)(columns, count, bits)
    quantizer.train(given)
    codes = quantizer.compute_codes(given)
    seconds = time.process_time() - started
    error = float(((given - quantizer.decode(codes)).astype("float64") ** 2).sum() / len(matrix))
    print(json.dumps({"way": way, "seconds": seconds, "error": error, "version": faiss.__version__}), flush=True)
